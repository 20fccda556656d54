"""Ansible's own programs, asked about an inventory."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory.environment import run_ansible

# A big inventory takes Ansible some seconds, a dynamic one that asks a cloud takes more.
_TIMEOUT = 300.0


def ansible_program(name: str) -> str:
    """Find Ansible's program of that name: beside this Python first, then on PATH.

    Raises:
        InventoryError: there is none.
    """
    # A virtual environment need not be activated for its kraken-fleet to be run, and then its Ansible is not on PATH.
    beside = Path(sys.executable).parent / name
    if found := str(beside) if beside.exists() else shutil.which(name):
        return found
    raise InventoryError(f"{name} is not installed", hint="Install ansible-core beside kraken-fleet")


def listing(command: Sequence[str], sources: Sequence[Path | str]) -> dict[str, object]:
    """Run `ansible-inventory --list` and read what it writes.

    Args:
        command: the whole command line.
        sources: what to name in errors.

    Raises:
        InventoryError: Ansible cannot read the inventory, or has to be given a vault's password.
    """
    where = ", ".join(map(str, sources))
    try:
        done = run_ansible(command, _TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise InventoryError(f"ansible-inventory did not end within {_TIMEOUT:g} s", where=where) from error
    complaint = _complaint(done.stderr)
    # An error only because of ANSIBLE_HOST_PATTERN_MISMATCH in environment.py; by default Ansible just warns.
    if found := re.search(r"Could not match supplied host pattern, ignoring: (\S+)", complaint):
        said = f"No host and no group of the inventory matches {found[1]!r}"
        raise InventoryError(said, where=where, hint="Correct --limit; `ansible-inventory --graph` shows the names")
    # A file that cannot be parsed is only a warning to Ansible; the fleet would silently be empty.
    if done.returncode or "Unable to parse" in complaint or "Failed to parse" in complaint:
        raise InventoryError(complaint or "ansible-inventory failed", where=where, hint=_hint(complaint))
    try:
        found = json.loads(done.stdout, object_hook=_unmarked)
    except ValueError as error:
        said = f"ansible-inventory did not write JSON, but: {done.stdout.strip()[:200]!r}"
        raise InventoryError(said, where=where, hint="Run `ansible-inventory --list` with it to see all") from error
    if not isinstance(found, dict):
        raise InventoryError("ansible-inventory did not write an object", where=where)
    return found


def _unmarked(read: dict[str, object]) -> object:
    """Return plain text for what Ansible marks as coming from elsewhere, as dynamic inventories' values do.

    Text that looks like a template stays marked: Ansible then gets it back as it is and does not run it.
    """
    text = read.get("__ansible_unsafe")
    return text if isinstance(text, str) and not re.search(r"\{[{%#]", text) else read


def _hint(complaint: str) -> str:
    lacks_vault = "vault" in complaint.lower() and "decrypt" in complaint.lower()
    return "Give --vault-password-file, --vault-id or --ask-vault-pass" if lacks_vault else ""


def _complaint(stderr: str) -> str:
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", stderr).split())
    return text.removeprefix("[ERROR]: ").removeprefix("ERROR! ").removeprefix("[WARNING]: ")[:1000]
