"""User data for a machine: a script with the agent's settings and its secret."""

from __future__ import annotations

import subprocess

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
