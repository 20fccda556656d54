"""Runs a command of kraken-fleet that works in slices, for a fleet of loopback hosts."""

from __future__ import annotations

import subprocess
import sys

from tests.e2e.loopback_fleet import Fleet, Played
from tests.e2e.slice_workers import Deploying


def command_in_slices(fleet: Fleet, name: str, *arguments: str, **environment: str) -> Played:
    """Runs `kraken-fleet NAME` for a fleet to its end."""
    command, settings = _prepared(fleet, name, *arguments, **environment)
    done = subprocess.run(command, cwd=fleet.directory, env=settings, capture_output=True, text=True, check=False)
    return Played(done.returncode, f"{done.stdout}\n{done.stderr}")


def begun_in_slices(fleet: Fleet, name: str, *arguments: str) -> Deploying:
    """Begins `kraken-fleet NAME --json` for a fleet."""
    command, settings = _prepared(fleet, name, "--json", *arguments)
    process = subprocess.Popen(
        command, cwd=fleet.directory, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return Deploying(process)


def _prepared(fleet: Fleet, name: str, *arguments: str, **environment: str) -> tuple[list[str], dict[str, str]]:
    _command, settings = fleet.prepared("deploy-agents.yml", **environment)
    command = [sys.executable, "-m", "kraken_fleet.cli.main", name, "-i", str(fleet.directory / "inventory")]
    settings["KRAKEN_FLEET_STATE_DIR"] = str(fleet.directory / "state")
    settings["ANSIBLE_FORKS"] = "4"
    return [*command, *arguments], settings
