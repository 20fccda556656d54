"""User data for a machine: a script with the agent's settings and its secret."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

from kraken_fleet.bundle import UserData

SECRET = "0123456789abcdef"
VARIABLES = {
    "KRAKEN_SERVER_ADDR": "http://kraken.example:6363",
    "KRAKEN_AGENT_ADDRESS": "10.0.0.9",
    "KRAKEN_TOOLS_DIRS": "/srv/it's here",
    "MAKEFLAGS": '-j3 "$(nproc)"',
}


def user_data() -> UserData:
    url = "http://kraken.example:6363/bk/install/agent"
    return UserData("build-9", url, "a" * 64, VARIABLES, SECRET, "2026-11-29 12:00 UTC")


def test_the_script_is_one_that_every_shell_reads() -> None:
    script = user_data().script()
    assert script.startswith("#!/bin/sh\n")
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0


def test_the_agents_variables_arrive_as_they_are() -> None:
    exports = [line for line in user_data().script().splitlines() if line.startswith("export ")]
    shown = subprocess.run(
        ["sh", "-c", "\n".join([*exports, "env"])], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name, value in VARIABLES.items():
        assert (f"{name}={value}" in shown) is name.startswith("KRAKEN_")
    assert "KRAKEN_AGENT_NONCE_FILE=/opt/kraken/nonce" in shown
    assert 'MAKEFLAGS="-j3 \\"\\$(nproc)\\""' in user_data().script()


def test_the_secret_is_in_the_script_and_nowhere_else() -> None:
    assert SECRET in user_data().script()
    assert SECRET not in repr(user_data())


def test_the_name_of_a_host_is_no_line_of_the_script() -> None:
    script = dataclasses.replace(user_data(), host="build-9\nreboot").script()
    assert "reboot" in script
    assert not [line for line in script.splitlines() if line.startswith("reboot")]


def test_a_file_that_is_not_this_agent_is_not_run(tmp_path: Path) -> None:
    """Kraken's own agent has another `install`, and would report no secret."""
    (tmp_path / "kkagent").write_bytes(b"PK kraken/agent/main.py")
    program = user_data().script().split("END_OF_PROGRAM")[1].removeprefix("'\n")
    sums = hashlib.sha256((tmp_path / "kkagent").read_bytes()).hexdigest()
    words = [sys.executable, "-c", program, (tmp_path / "kkagent").as_uri(), sums, str(tmp_path / "downloaded")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is not kraken-fleet's agent" in done.stderr
    assert not (tmp_path / "downloaded").exists()
