"""A job does all that it can to have a project's secrets shown: in its log, its results, its messages, its fields."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.unit.agent.fake_server import FakeJob, FakeServer

SECRETS = {
    "A": "plain-secret-4711",
    "B": "first-line-of-it\nsecond-line-of-it",
    "C": "pass\\word-0815",
    "D": "geheím-4712-ä",
    "E": "tab\there-9911",
    "F": "quote\"d-and-'single-77",
}
WORDS = ["plain-secret-4711", "first-line-of-it", "second-line-of-it", "word-0815", "4712", "here-9911", "single-77"]
TOOL = """
import json, os
def collect_tests(step):
    return [os.environ["A"], "other"]
def run_tests(step, report_result=None):
    assert step["tests"] == [os.environ["A"], "other"], step["tests"]
    for name in "ABCDEF":
        value = os.environ[name]
        print(repr(value), json.dumps(value), value)
        values = {value: {"value": value}}
        report_result({"cmd": value, "test": value, "status": 1, "msg": json.dumps(value), "values": values})
    raise RuntimeError(" ".join(os.environ[name] for name in "ABCDEF"))
def run_artifacts(step, report_artifact=None):
    report_artifact({"path": f"out/{os.environ['C']}/{os.environ['D']}.txt", "size": 1})
    return 3, os.environ["B"]
"""


def sent(server: FakeServer, job: FakeJob) -> str:
    """All that left the agent, without what the server itself said."""
    said = [message for message in server.messages if message["msg"] != "host-info"]
    return "\n".join([*server.sink.output(job.id), *server.sink.output(), repr(said)])


def test_print_them(run_job: Callable[..., FakeJob], server: FakeServer) -> None:
    escaped = [value.encode("unicode-escape").decode() for value in SECRETS.values()]
    job = run_job(
        {"cmd": 'set -x; printf "%s\\n" "A $A" "B $B" "C $C" "D $D" "E $E" "F $F"; exit 1', "env": SECRETS},
        {"script": 'printf "%s" "$B"; printf "%q %q %q" "$C" "$D" "$E"', "env": SECRETS, "when": "always"},
        secrets=escaped,
    )
    assert any(line.startswith("A ") for line in server.sink.output(job.id))
    assert [word for word in WORDS if word in sent(server, job)] == []


def test_have_them_in_results_and_names_of_tests_artifacts_and_errors(
    run_job: Callable[..., FakeJob], server: FakeServer, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "kraken_leaky.py").write_text(TOOL)
    step = {"tool": "leaky", "branch_env": SECRETS}
    escaped = [value.encode("unicode-escape").decode() for value in SECRETS.values()]
    job = run_job(step, secrets=escaped, agent={"KRAKEN_TOOLS_DIRS": str(tools)})
    assert server.results(job)[0]["status"] == "error"
    assert len(server.results(job, final=False)) > 1
    assert [word for word in WORDS if word in sent(server, job)] == []
