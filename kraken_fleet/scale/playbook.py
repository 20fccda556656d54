"""Calls of ansible-playbook on this machine."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing

from kraken_fleet.collection import collection_root
from kraken_fleet.inventory import Inventory, start_ansible
from kraken_fleet.scale.events import DeployEvent, Output

DEPLOY = "deploy-agents.yml"
UPGRADE = "upgrade-agents.yml"
# Tags of DEPLOY: the check of the variables, which always runs, and that of the server and the account.
ACCESS = "access"
VARIABLES = "variables"  # no task has it


def playbook_command(inventory: Inventory, playbook: str, *options: str) -> list[str]:
    """Return the command line that runs a playbook of the collection.

    Args:
        inventory: the hosts, with limit, vaults and extra variables.
        playbook: the file's name in the collection's `playbooks/`.
        options: more options of ansible-playbook.
    """
    named = [part for source in inventory.sources for part in ("-i", str(source))]
    limit = ["--limit", inventory.limit] if inventory.limit else []
    # `python -m ansible` finds the program that belongs to this library, whatever PATH says.
    program = [sys.executable, "-m", "ansible", "playbook"]
    return [*program, *named, *limit, *inventory.arguments, *options, str(collection_root() / "playbooks" / playbook)]


def run(command: Sequence[str], environment: Mapping[str, str]) -> Generator[str, None, int]:
    """Run a command; yield each line that it prints, and return its exit code as the iterator's value."""
    with start_ansible(command, environment) as process:
        try:
            yield from (line.rstrip("\n") for line in process.stdout or ())
        finally:
            if process.poll() is None:
                process.terminate()
    return process.returncode


def played(
    inventory: Inventory, playbook: str, *options: str, environment: Mapping[str, str] | None = None
) -> Generator[DeployEvent, None, int]:
    """Run a playbook of the collection; yield what it prints, and return its exit code as the iterator's value.

    Args:
        options: of ansible-playbook.
        environment: more variables than this process's own.
    """
    # Into a pipe Python writes whole blocks, and people wait for each line.
    settings = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
    lines = run(playbook_command(inventory, playbook, *options), settings)
    with closing(lines):
        while True:
            try:
                line = next(lines)
            except StopIteration as end:
                return int(end.value)
            yield Output(line)


def check(inventory: Inventory, tag: str, *options: str) -> Generator[DeployEvent, None, int]:
    """Check all hosts before any is touched; yield and return as `played` does.

    Args:
        tag: ACCESS or VARIABLES.
        options: of ansible-playbook.
    """
    with tempfile.TemporaryDirectory(prefix="kraken-fleet-") as nowhere:
        # A look at the hosts is no deploy that the console shows.
        kept = {"KRAKEN_FLEET_STATE_DIR": nowhere}
        return (yield from played(inventory, DEPLOY, "--tags", tag, *options, environment=kept))
