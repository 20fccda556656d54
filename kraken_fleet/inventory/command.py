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
# What each message of Ansible's begins with; "ERROR! " is that of older versions.
_MESSAGE = re.compile(r"^\[?(ERROR|WARNING|DEPRECATION WARNING)(?:\]:|:|!) ", re.MULTILINE)
_BY_PLUGIN = re.compile(r"^Failed to parse inventory with '\w+' plugin: (Failed to parse inventory: )?")


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
    # A file that cannot be parsed is only a warning to Ansible; the fleet would silently be empty.
    if done.returncode or re.search("(Unable|Failed) to parse", done.stderr):
        raise failure(done.stderr, where)
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


def failure(stderr: str, where: str, hint: str = "") -> InventoryError:
    """Make an error of what a program of Ansible wrote when it failed.

    Args:
        where: the inventory.
        hint: what to do, where nothing better is known.
    """
    complaint = _complaint(stderr)
    # An error only because of ANSIBLE_HOST_PATTERN_MISMATCH in environment.py; by default Ansible just warns.
    if found := re.search(r"Could not match supplied host pattern, ignoring: (\S+)", complaint):
        said = f"No host and no group of the inventory matches {found[1]!r}"
        return InventoryError(said, where=where, hint="Correct --limit; `ansible-inventory --graph` shows the names")
    if "vault" in complaint.lower() and "decrypt" in complaint.lower():
        hint = "Give --vault-password-file, --vault-id or --ask-vault-pass"
    return InventoryError(complaint or "Ansible failed and said nothing", where=where, hint=hint)


def _complaint(stderr: str) -> str:
    """Choose the message that says why: an error, else that of the plugin which the inventory was written for.

    Ansible tries one plugin after another and tells of each one. `auto` takes files that are called as YAML, `script`
    programs; `ini`, the last one, what is neither.
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", stderr)
    parts = _MESSAGE.split(plain)
    told = list(zip(parts[1::2], parts[2::2], strict=True))
    errors = [text for kind, text in told if kind == "ERROR"]
    unread = [text for _kind, text in told if "Failed to parse" in text]
    its_own = [text for text in unread if re.match("Failed to parse inventory with '(auto|script)'", text)]
    return _shortened((errors or its_own or unread[::-1] or [plain])[0])


def _shortened(text: str) -> str:
    """Return the first paragraph: the others say it again, save where it is and what a script said."""
    first, _blank, rest = text.strip().partition("\n\n")
    said = _BY_PLUGIN.sub("", " ".join(first.split())).rstrip(".")
    if place := re.search(r"^Origin: (\S+:\d+)", rest, re.MULTILINE):
        said += f" ({place[1]})"
    if script := re.search(r"Standard error from inventory script:\s*(.+)", rest, re.DOTALL):
        said += f": {' '.join(script[1].split())}"
    return said[:1000]
