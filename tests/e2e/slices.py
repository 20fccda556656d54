"""Runs a command of kraken-fleet that works in slices, for a fleet of loopback hosts."""

from __future__ import annotations

import subprocess
import sys

from tests.e2e.loopback_fleet import Fleet, Played


def command_in_slices(fleet: Fleet, name: str, *arguments: str, **environment: str) -> Played:
    """Runs `kraken-fleet NAME` for a fleet to its end."""
    _command, settings = fleet.prepared("deploy-agents.yml", **environment)
    command = [sys.executable, "-m", "kraken_fleet.cli.main", name, "-i", str(fleet.directory / "inventory")]
    settings["KRAKEN_FLEET_STATE_DIR"] = str(fleet.directory / "state")
    settings["ANSIBLE_FORKS"] = "4"
    done = subprocess.run(
        [*command, *arguments], cwd=fleet.directory, env=settings, capture_output=True, text=True, check=False
    )
    return Played(done.returncode, f"{done.stdout}\n{done.stderr}")
