"""A collection from Galaxy on a controller whose Python package is missing, or of another version."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.kraken_ci.fleet.plugins import plugin_utils

import kraken_fleet

ROOT = Path(__file__).resolve().parents[3]
HOSTS = (
    'kraken_agents: {hosts: {127.0.0.5: {ansible_connection: local}}, vars: {kraken_server_url: "http://127.0.0.1:1"}}'
)
SERVER = "plugin: kraken_ci.fleet.kraken\nserver_url: http://127.0.0.1:1\n"


def said(folder: Path, python: str, *command: str) -> str:
    """What a command of Ansible says, with these lines run first in each of its Pythons."""
    (folder / "sitecustomize.py").write_text(python)
    program = str(Path(sys.executable).parent / command[0])
    done = subprocess.run(
        [program, *command[1:]], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return " ".join((done.stdout + done.stderr).split())


def test_the_version_is_the_same_everywhere() -> None:
    assert (
        yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"] == plugin_utils.VERSION == kraken_fleet.__version__
    )


@pytest.mark.parametrize(
    ("python", "expected"),
    [
        (
            "import sys; sys.modules['kraken_fleet'] = None",
            "needs the Python package kraken-fleet, which is not installed",
        ),
        (
            "import kraken_fleet; kraken_fleet.__version__ = '0.0.9'",
            "the Python package kraken-fleet 0.0.9 are of different",
        ),
    ],
)
def test_it_is_said_with_what_to_do(tmp_path: Path, python: str, expected: str) -> None:
    hosts, server = tmp_path / "hosts.yml", tmp_path / "server.kraken.yml"
    hosts.write_text(HOSTS)
    server.write_text(SERVER)
    for command in (
        ["ansible-playbook", "-i", str(hosts), "playbooks/deploy-agents.yml"],
        ["ansible-inventory", "-i", str(server), "--list"],
        ["ansible", "localhost", "-m", "debug", "-a", "msg={{ 'h' | kraken_ci.fleet.server_address }}"],
    ):
        text = said(tmp_path, python, *command)
        assert expected in text, command
        assert "-m pip install kraken-fleet==" in text
        assert "Traceback" not in text
        assert "No module named" not in text
