"""What is removed after a job is never what the next job has."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.agent.conftest import RunningAgent
from tests.unit.agent.fake_server import FakeServer

Until = Callable[..., None]
StartAgent = Callable[..., RunningAgent]

# Removes when there is a second job, or when that has not come for a while.
SLOW_RM = """\
#!/bin/sh
touch {data}/removes
i=0
until [ -e {data}/jobs/2 ] || [ $i -ge 20 ]; do sleep 0.1; i=$((i + 1)); done
exec {rm} "$@"
"""
# Removes nothing, and does not end.
STUCK_RM = "#!/bin/sh\ntouch {data}/removes\nexec sleep 1000\n"


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """Of an agent that keeps no directory of a job, and has little room on its disk, but enough for a job."""
    free = shutil.disk_usage(tmp_path).free
    return {
        "KRAKEN_AGENT_KEEP_JOBS": "0",
        "KRAKEN_AGENT_MIN_FREE": f"{int(free * 0.6) // 1024**2}M",
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
    }


def replace_rm(directory: Path, text: str) -> None:
    program = directory / "bin/rm"
    program.parent.mkdir()
    program.write_text(text.format(data=directory / "data", rm=shutil.which("rm")))
    program.chmod(0o755)


def test_the_directory_of_the_next_job_is_not_removed(
    server: FakeServer, start_agent: StartAgent, until: Until, tmp_path: Path, variables: dict[str, str]
) -> None:
    replace_rm(tmp_path, SLOW_RM)
    server.add_job({"cmd": "true"})
    job = server.add_job(
        {"cmd": f"touch mark; for i in 1 2 3; do sleep 1; ls {tmp_path}/data/jobs/2/mark || exit; done"}
    )
    start_agent(**variables)
    until(lambda: job.finished)
    assert (tmp_path / "data/removes").exists()
    assert [result["status"] for result in server.results(job)] == ["done"]


def test_an_agent_that_is_told_to_stop_does_not_wait_for_what_it_removes(
    server: FakeServer, start_agent: StartAgent, until: Until, tmp_path: Path, variables: dict[str, str]
) -> None:
    replace_rm(tmp_path, STUCK_RM)
    job = server.add_job({"cmd": "true"})
    agent = start_agent(**variables)
    until(lambda: job.finished and (tmp_path / "data/removes").exists())
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0
