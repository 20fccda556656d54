"""Commands of tools, the messages they become, kktool's command line, and programs that tools run."""

from __future__ import annotations

import importlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kraken_agent
import pytest
from kraken_agent.tools import command, runner
from kraken_agent.tools.catalog import BUILTIN_COMMANDS, builtin_module
from kraken_agent.tools.channel import open_channel
from kraken_agent.tools.masking import Masker, secrets_of
from kraken_agent.tools.results import Batches

from tests.waiting import until

AGENT = Path(kraken_agent.__file__).parents[1]

TOOL = """
import helper

def _private():
    pass

def collect_tests(step):
    return ["a", "b"]

def run_tests(step, report_result=None):
    for name in step["tests"]:
        report_result({"test": name, "cmd": "", "status": helper.PASSED})
    return 0, ""

def run(step):
    print("a line of log")
    if step.get("raise"):
        raise RuntimeError("with " + step["secrets"][0])
    return step.get("return", (0, ""))
"""


@pytest.fixture
def user_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tool of a user, with a dependency beside it in vendor/."""
    directory = tmp_path / "mine"
    (directory / "vendor").mkdir(parents=True)
    (directory / "kraken_mine.py").write_text(TOOL)
    (directory / "vendor/helper.py").write_text("PASSED = 1\n")
    monkeypatch.syspath_prepend(str(directory / "vendor"))
    monkeypatch.syspath_prepend(str(directory))
    yield directory
    for name in ("kraken_mine", "helper"):
        sys.modules.pop(name, None)


def execute(command_name: str, **step: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    runner.execute("kraken_mine", command_name, {"tool": "mine", **step}, sent.append)
    return sent


def test_the_commands_of_a_tool_are_its_public_functions(user_tool: Path) -> None:
    assert execute("get_commands") == [{"status": "done", "commands": ["collect_tests", "run", "run_tests"]}]


def test_collected_tests_are_in_the_answer(user_tool: Path) -> None:
    assert execute("collect_tests") == [{"status": "done", "tests": ["a", "b"]}]


def test_results_come_in_batches_and_then_the_end(user_tool: Path) -> None:
    names = [str(number) for number in range(150)]
    sent = execute("run_tests", tests=names)
    assert [len(message.get("test-results", ())) for message in sent] == [100, 50, 0]
    assert [message["status"] for message in sent] == ["in-progress", "in-progress", "done"]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ((0, ""), {"status": "done"}),
        ((3, "bad"), {"status": "error", "reason": "retcode", "retcode": 3, "msg": "bad"}),
        ((10000, "late"), {"status": "error", "reason": "step-timeout", "msg": "late"}),
    ],
)
def test_the_code_of_a_tool_becomes_the_status_of_the_step(
    user_tool: Path, returned: object, message: dict[str, object]
) -> None:
    assert execute("run", **{"return": returned}) == [message]


def test_an_exception_is_the_result_and_shows_no_secret(user_tool: Path) -> None:
    (message,) = execute("run", **{"raise": True, "secrets": ["hidden-secret"]})
    assert message["status"] == "error"
    assert message["reason"] == "exception"
    assert "RuntimeError: with ******" in str(message["msg"])


@pytest.mark.parametrize("returned", [None, 0, ("x", "y", "z")])
def test_a_tool_that_returns_no_pair_has_not_succeeded(user_tool: Path, returned: object) -> None:
    (message,) = execute("run", **{"return": returned})
    assert "a pair (code, message)" in str(message["msg"])


@pytest.mark.parametrize("command_name", ["run_analysis", "destroy"])
def test_a_command_that_is_not_there_is_named(user_tool: Path, command_name: str) -> None:
    (message,) = execute(command_name)
    assert message["status"] == "error"
    assert command_name in str(message["msg"])


def test_a_batch_is_sent_after_its_time_even_if_the_tool_is_silent() -> None:
    sent: list[Any] = []
    arrived = threading.Event()

    def send(message: dict[str, object]) -> None:
        sent.append(message)
        arrived.set()

    with Batches(send, "issues", seconds=0.05) as batches:
        batches.add("one")
        assert arrived.wait(5)
    assert sent == [{"status": "in-progress", "issues": ["one"]}]


def test_secrets_are_the_servers_list_the_token_the_key_and_the_stores(user_tool: Path) -> None:
    step = {"secrets": ["abc", "longer-secret"], "access-token": "token", "ssh-key": {"key": "line1\nline2\n"}}
    assert secrets_of(step) == ["abc", "longer-secret", "token", "line1\nline2"]
    assert Masker(secrets_of(step)).mask_text("a token here") == "a ****** here"


def test_every_built_in_tool_has_a_module_and_upstreams_names_work() -> None:
    assert {builtin_module(name) for name in BUILTIN_COMMANDS} == {
        f"kraken_agent.tools.{name}" for name in BUILTIN_COMMANDS
    }
    assert builtin_module("kraken.agent.kraken_git") == "kraken_agent.tools.git"
    assert builtin_module("kraken_agent.tools.git") == "kraken_agent.tools.git"
    assert builtin_module("json") is None


def test_every_built_in_tool_has_exactly_the_commands_that_the_catalog_says() -> None:
    found = {name: runner.commands_of(importlib.import_module(str(builtin_module(name)))) for name in BUILTIN_COMMANDS}
    assert found == {name: list(commands) for name, commands in BUILTIN_COMMANDS.items()}


# kktool


def kktool_run(*arguments: str, path: Path | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    search = os.pathsep.join(str(part) for part in (AGENT, path) if part)
    return subprocess.run(
        [sys.executable, "-m", "kraken_agent.tools", *arguments],
        env={**os.environ, "PYTHONPATH": search},
        text=True,
        capture_output=True,
        check=False,
        **options,
    )


@pytest.fixture
def step_file(tmp_path: Path) -> str:
    path = tmp_path / "step_0.json"
    path.write_text(json.dumps({"tool": "rndtest", "count": 3, "job_id": 1, "index": 0, "tests": ["a"]}))
    return str(path)


def test_kktool_reports_over_tcp_as_upstreams_does(step_file: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        done = kktool_run("-m", "kraken.agent.kraken_rndtest", "-r", address, "-s", step_file, "run_tests")
        connection, _ = server.accept()
        messages = [json.loads(line) for line in connection.makefile()]
    assert done.returncode == 0
    assert [message["status"] for message in messages] == ["in-progress", "done"]
    assert messages[0]["test-results"][0]["test"] == "a"


def test_kktool_keeps_messages_and_log_apart_on_one_terminal(user_tool: Path, tmp_path: Path) -> None:
    step = tmp_path / "s.json"
    step.write_text('{"tool": "mine"}')
    archive = tmp_path / "tool.zip"
    with zipfile.ZipFile(archive, "w") as content:
        for path in user_tool.rglob("*.py"):
            content.write(path, path.relative_to(user_tool))
    done = kktool_run("-m", f"{archive}:kraken_mine", "-r", "fd:2", "-s", str(step), "run")
    assert done.stdout == "a line of log\n"
    assert done.stderr == '{"status": "done"}\n'


def test_programs_that_a_tool_starts_cannot_write_into_its_messages(tmp_path: Path) -> None:
    step = tmp_path / "s.json"
    step.write_text('{"tool": "noisy"}')
    (tmp_path / "noisy.py").write_text(
        "import os\ndef run(step):\n    os.system('echo out; echo err >&2')\n    return 0, ''\n"
    )
    done = kktool_run("-m", "noisy", "-r", "fd:2", "-s", str(step), "run", path=tmp_path)
    assert done.stdout == "out\nerr\n"
    assert done.stderr == '{"status": "done"}\n'


def test_kktool_without_return_address_shows_its_messages(step_file: str) -> None:
    done = kktool_run("-m", "rndtest", "-s", step_file, "get_commands")
    assert 'tool response: {"status": "done", "commands": ["collect_tests", "run_tests"]}' in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["run"], 2, "--module and --step-file"),
        (["-m", "git", "-s", "/no/such/file", "run"], 1, "/no/such/file"),
        (["-m", "git", "-s", "STEP", "-r", "nowhere", "run"], 1, "neither HOST:PORT nor fd:NUMBER"),
        ([], 2, "required: command"),
    ],
)
def test_kktool_says_what_is_wrong_with_its_arguments(
    step_file: str, arguments: list[str], code: int, text: str
) -> None:
    done = kktool_run(*[step_file if word == "STEP" else word for word in arguments])
    assert done.returncode == code
    assert text in done.stderr


def test_a_channel_to_nobody_is_an_error() -> None:
    with pytest.raises(ConnectionRefusedError):
        open_channel("127.0.0.1:1")


# programs


def test_output_is_passed_on_line_by_line_with_secrets_hidden() -> None:
    lines: list[Any] = []
    script = "printf 'one\\ntwo sec'; sleep 0.1; printf 'ret\\r\\n\\377 odd'"
    done = command.run_program(["sh", "-c", script], on_line=lines.append, secrets=["secret"], keep=True)
    assert lines == ["one", "two ******", "\ufffd odd"]
    assert done == (0, "one\ntwo secret\n\ufffd odd\n")


def test_a_program_over_its_time_is_ended_with_everything_it_started(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    script = f"trap '' TERM; setsid sleep 300 & echo $! > {marker}; sleep 300"
    started = time.monotonic()
    assert command.run_program(["sh", "-c", script], timeout=0.5).code == command.STEP_TIMEOUT
    assert time.monotonic() - started < 60
    until(lambda: _is_dead(marker))


def test_a_daemon_that_keeps_the_output_open_is_not_waited_for() -> None:
    started = time.monotonic()
    done = command.run_program(["sh", "-c", "setsid sleep 290 & echo ready"], keep=True)
    assert done == (0, "ready\n")
    assert time.monotonic() - started < 60
    _kill_sleepers("sleep\x00290\x00")


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    lengths = []
    command.run_program(
        ["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"], on_line=lambda line: lengths.append(len(line))
    )
    assert sum(lengths) == 1_000_000
    assert max(lengths) <= 64 * 1024


def _is_dead(marker: Path) -> bool:
    try:
        stat = Path(f"/proc/{marker.read_text().strip()}/stat").read_text()
    except OSError:
        return True
    return stat.rsplit(")", 1)[1].split()[0] in "ZX"


def _kill_sleepers(command_line: str) -> None:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_text() == command_line:
                os.kill(int(entry.parent.name), 9)
        except (OSError, ValueError):
            continue
