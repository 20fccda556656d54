"""The agent's log where its sink has no name yet, or its console takes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.agent.conftest import AGENT_SOURCE, PYTHON, StartAgent
from tests.unit.agent.fake_server import FakeServer

Until = Callable[..., None]

# A name server that comes to know a name when a file is there.
NAMES = """\
import os, socket
_real = socket.getaddrinfo

def getaddrinfo(host, *args, **kwargs):
    if host == "logs.invalid":
        if not os.path.exists({known!r}):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        host = "127.0.0.1"
    return _real(host, *args, **kwargs)

socket.getaddrinfo = getaddrinfo
"""


@pytest.mark.parametrize("named_by", ["server", "settings"])
def test_a_sink_whose_name_is_unknown_at_first_has_the_log_of_a_later_job(
    server: FakeServer, start_agent: StartAgent, until: Until, tmp_path: Path, named_by: str
) -> None:
    known = tmp_path / "known"
    (tmp_path / "sitecustomize.py").write_text(NAMES.format(known=str(known)))
    address = server.sink.address.replace("127.0.0.1", "logs.invalid")
    variables = {"PYTHONPATH": f"{tmp_path}:{AGENT_SOURCE}"}
    if named_by == "server":
        server.sink.address = address
    else:
        variables["KRAKEN_CLICKHOUSE_ADDR"] = address
    first = server.add_job({"cmd": "echo first"})
    agent = start_agent(**variables)
    until(lambda: first.finished)
    assert "logs cannot be sent to logs.invalid" in agent.said()
    known.touch()
    second = server.add_job({"cmd": "echo second"})
    until(lambda: second.finished)
    server.sink.settle()
    assert server.sink.output() == ["second"]


@pytest.mark.parametrize("console", ["/dev/full", ">(true)"], ids=["full", "closed"])
def test_an_agent_whose_console_takes_nothing_runs_its_job_and_sends_its_log(
    server: FakeServer, start_agent: StartAgent, console: str
) -> None:
    job = server.add_job({"cmd": "echo one"}, {"cmd": "echo two"})
    shell = ["bash", "-c", f'exec "$@" 2> {console}', "bash"]
    agent = start_agent("--one-job", argv=[*shell, PYTHON, "-m", "kraken_agent"])
    assert agent.wait() == 0
    assert job.finished
    server.sink.settle()
    assert server.sink.output(job.id) == ["one", "two"]
    assert "job 1 is over" in [record["message"] for record in server.sink.all()]
