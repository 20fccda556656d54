"""What is sent to a host: real shells and real Pythons run it here."""

from __future__ import annotations

import base64
import json
import marshal
import os
import subprocess
import sys
import zlib
from collections.abc import Mapping
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.kraken_ci.fleet.plugins.action.agent_host import ActionModule
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import action as host_action
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import prerequisites
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import program as host_program
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.action import Seen
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.program import program_of

DEFAULTS = {name: option.get("default") for name, option in ActionModule.ARGUMENTS.items()}


def program(directory: Path, **more: Any) -> str:
    """It takes an agent off a host that has none, and so changes nothing."""
    of_process = {
        "state": "absent",
        "dir": str(directory),
        "service_manager": "process",
        "binaries": [],
        "self_checking": False,
        "install_script": "",
    }
    return program_of("host.task", {"SOME": "thing"}, {**DEFAULTS, **of_process, "checks": None, **more})


def sent(command: str, text: str = "", **environment: str) -> Mapping[str, Any]:
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        input=text,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    return {"stdout": done.stdout, "stderr": done.stderr, "rc": done.returncode}


def seen(text: str, interpreter: str = sys.executable, *, without_git: bool = True, **environment: str) -> Seen:
    command = prerequisites.look_and_run(interpreter, without_git=without_git)
    return host_action.read(sent(command, text, **environment))


def test_one_command_looks_at_the_host_and_answers_for_its_agent(tmp_path: Path) -> None:
    answered = seen(program(tmp_path / "agent"))
    assert answered.found.python == sys.executable
    assert answered.answer is not None
    assert answered.answer == {
        "changed": False,
        "changes": [],
        "diff": [],
        "findings": [],
        "agents": [{**answered.answer["agents"][0], "dir": str(tmp_path / "agent")}],
    }


def test_where_pipelining_is_off_it_runs_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a program.py"
    path.write_text(program(tmp_path / "agent"))
    command = prerequisites.look_and_run(sys.executable, str(path), without_git=True)
    assert host_action.read(sent(command)).answer is not None


def test_it_is_not_run_without_git_nor_without_python(tmp_path: Path) -> None:
    text = program(tmp_path / "agent")
    (tmp_path / "cat").symlink_to("/bin/cat")
    without_git = seen(text, without_git=False, PATH=str(tmp_path))
    assert (without_git.found.missing, without_git.answer) == (("git",), None)
    without_python = seen(text, "/nonexistent/python3")
    assert ("python" in without_python.found.missing, without_python.answer) == (True, None)


def test_a_bad_finding_leaves_the_host_as_it_is(tmp_path: Path) -> None:
    checks = {
        "server": "http://127.0.0.1:1", "minio_addr": "", "clickhouse_addr": "", "directory": str(tmp_path),
        "marker": "n", "least_disk_mb": 0, "timeout": 2, "ca_bundle": "",
    }  # fmt: skip
    answer = seen(program(tmp_path / "agent", state="present", server_url="http://127.0.0.1:1", checks=checks)).answer
    assert answer is not None
    assert [finding["check"] for finding in answer["findings"] if finding["ok"] is False] == ["tcp"]
    assert not (tmp_path / "agent").exists()


def test_what_a_host_refuses_is_told_in_words(tmp_path: Path) -> None:
    answer = seen(program(Path("/usr/lib"))).answer
    assert answer is not None
    assert answer["failed"]
    assert "belongs to the system" in answer["msg"]


def test_a_program_that_breaks_off_is_told_from_a_shell_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match=r"(?s)ended before it had answered.*ZeroDivisionError"):
        seen("1/0\n")
    with pytest.raises(AnsibleActionFail, match="did not answer as a POSIX shell does: no such login"):
        host_action.read({"stdout": "no such login\n", "rc": 1})


def test_a_failure_of_our_own_does_not_show_what_was_sent(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(program(tmp_path / "agent", instances=["hunter-two"]))
    done = sent(prerequisites.look_and_run(sys.executable, str(path), without_git=True))
    assert "Traceback" in done["stderr"]
    assert "hunter-two" not in done["stderr"] + done["stdout"]


def test_a_python_that_is_too_old_is_left_for_the_next(tmp_path: Path) -> None:
    """The first on the path claims to be 3.6, as its exit code says too."""
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\necho 3.6.8\nexit 1\n")
    old.chmod(0o755)
    (tmp_path / "python3.11").symlink_to(sys.executable)
    found = seen(program(tmp_path / "agent"), "", PATH=f"{tmp_path}:/nonexistent").found
    assert found.python != str(old)
    assert found.version != "3.6.8"


def test_an_answer_behind_text_without_a_line_end_is_read() -> None:
    said = 'kraken-fleet: done=yes\nno line end kraken-fleet: answer={"changed": false}\n'
    assert host_action.read({"stdout": said, "rc": 0}).answer == {"changed": False}


@pytest.mark.parametrize("compiled_for", [MAGIC_NUMBER.hex(), "00000000"], ids=["the same Python", "another Python"])
def test_a_host_with_another_python_compiles_what_is_sent(tmp_path: Path, compiled_for: str) -> None:
    """What is compiled already refuses with other words here, so that it can be told which of the two has run."""
    text = program(Path("/usr/lib"))
    _sources, compiled, mark = host_program._modules()
    code = marshal.loads(zlib.decompress(base64.b64decode(compiled)))  # noqa: S302
    code["kraken_fleet_on_host.host.task"] = compile("def answer(_): return {'compiled': 'before'}", "task", "exec")
    text = text.replace(compiled, host_program._packed(marshal.dumps(code)))
    answer = seen(text.replace(repr(mark), repr(compiled_for))).answer
    assert answer is not None
    assert ("compiled" in answer, "failed" in answer) == ((True, False) if compiled_for == mark else (False, True))


def test_python_is_started_once_on_a_host_that_has_what_it_takes(tmp_path: Path) -> None:
    counted, starts = tmp_path / "python3", tmp_path / "starts"
    counted.write_text(f'#!/bin/sh\necho >>{starts}\nexec {sys.executable} "$@"\n')
    counted.chmod(0o755)
    assert seen(program(tmp_path / "agent"), str(counted)).answer is not None
    assert starts.read_text() == "\n"


def test_no_package_of_the_host_is_read(tmp_path: Path) -> None:
    """Those are the account's that the connection is made with, and the program may run as root."""
    (tmp_path / "typing.py").write_text("raise SystemExit('typing of the directory that the shell is in')\n")
    command = prerequisites.look_and_run(sys.executable, without_git=True)
    assert host_action.read(sent(f"cd {tmp_path} && {command}", program(tmp_path / "agent"))).answer is not None
    elsewhere = seen(program(tmp_path / "agent"), PYTHONPATH=str(tmp_path))
    assert elsewhere.answer is not None


def test_a_strict_mask_of_the_login_does_not_reach_what_is_made_on_the_host() -> None:
    source = "import os\ndef answer(parameters):\n    return {'mask': os.umask(0)}\n"
    sources = host_program._packed(json.dumps({"sent_files": source}).encode())
    call = f"\nrun({sources!r}, '', '', 'sent_files', {{}}, {{}})\n"
    done = sent(f"umask 077; exec {sys.executable} -", host_program.beginning() + call)
    assert done["stdout"].endswith('answer={"mask": 18}\n'), done


def test_what_takes_long_to_import_is_not_imported_for_a_host_with_nothing_to_do(tmp_path: Path) -> None:
    text = program(tmp_path / "agent")
    watched = "import sys\nsys.stderr.write('modules: ' + ' '.join(sorted(sys.modules)) + '\\n')\n"
    done = sent(prerequisites.look_and_run(sys.executable, without_git=True), text + watched)
    imported = set(done["stderr"].partition("modules: ")[2].split())
    assert "kraken_fleet_on_host.host.task" in imported
    assert imported & {"shutil", "tempfile", "secrets", "random", "http.client", "email", "site"} == set()
