"""Tools on the oldest Python that hosts may have."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kraken_agent.executors.container.files import build_kktool


def pythons() -> list[str]:
    """Every Python from 3.8 on that can be found here: on the path, and beside each other as pyenv keeps them."""
    found = {sys.executable: ""}
    places = [Path(shutil.which(f"python3.{minor}") or "/none") for minor in range(8, 15)]
    places += sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3"))
    for path in places:
        probe = [str(path), "-c", "import sys; sys.exit(sys.version_info < (3, 8))"]
        if path.exists() and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            found[str(path)] = ""
    return list(found)


@pytest.mark.parametrize("python", pythons())
def test_kktool_is_whole_and_runs_a_tool_on_every_python_that_is_here(python: str, tmp_path: Path) -> None:
    kktool = tmp_path / "kktool"
    kktool.write_bytes(build_kktool())
    assert subprocess.run([python, "-W", "error", kktool, "check-integrity"], check=False).returncode == 0
    step = json.dumps({"tool": "rndtest", "tests": ["a"], "override_result": 1})
    command = [python, "-W", "error", str(kktool), "-m", "rndtest", "-r", "fd:2", "-s", "-", "run_tests"]
    done = subprocess.run(command, input=step, capture_output=True, text=True, check=False)
    messages = [json.loads(line) for line in done.stderr.splitlines()]
    assert [message["status"] for message in messages] == ["in-progress", "done"]
    assert done.stdout == "a: 1\n"


def test_a_damaged_kktool_says_so(tmp_path: Path) -> None:
    kktool = tmp_path / "kktool"
    data = bytearray(build_kktool())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    kktool.write_bytes(data)
    done = subprocess.run([sys.executable, kktool, "check-integrity"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
