"""Calls of ansible-playbook on this machine."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping, Sequence

from kraken_fleet.collection import collection_root
from kraken_fleet.inventory import Inventory, start_ansible

DEPLOY = "deploy-agents.yml"


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
