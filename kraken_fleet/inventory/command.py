"""Asking Ansible itself what an inventory says."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kraken_fleet.collection import collection_root
from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory.addresses import Resolver, resolve_name
from kraken_fleet.inventory.check import raise_if_any
from kraken_fleet.inventory.environment import run_ansible
from kraken_fleet.inventory.fleet import chosen_hosts, fleet_from_hostvars, hostvars_of
from kraken_fleet.inventory.levels import AGENTS_GROUP, GroupTree
from kraken_fleet.inventory.render import fill_in
from kraken_fleet.inventory.unread import unread_files
from kraken_fleet.model import DesiredFleet

# A big inventory takes Ansible some seconds, a dynamic one that asks a cloud takes more.
_TIMEOUT = 300.0


def load(
    sources: Sequence[Path | str],
    limit: str | None = None,
    *,
    playbook_dir: Path | str | None = None,
    resolve: Resolver = resolve_name,
) -> DesiredFleet:
    """Read the fleet that inventory files, directories, scripts or plugins ask for.

    Which directory is the current one makes no difference.

    Args:
        sources: what `-i` of ansible-playbook takes.
        limit: a host pattern, as `--limit`; the fleet is then a slice and not complete.
        playbook_dir: where group_vars and host_vars beside playbooks are; default the collection's own playbooks,
            beside which a deploy with one of them looks.
        resolve: finds the address of a host that is known by name only.

    Raises:
        InventoryError: Ansible cannot read it, or a variable is wrong; it names host, variable and file.
    """
    for source in sources:
        if "," not in str(source) and not Path(source).exists():
            raise InventoryError("there is no such file or directory", where=str(source))
    playbook_dir = playbook_dir or collection_root() / "playbooks"
    if not Path(playbook_dir).is_dir():
        raise InventoryError("There is no such directory", where=str(playbook_dir))
    merged, exported = _both_listings(sources, limit, playbook_dir)
    try:
        tree = GroupTree(exported)
        hostvars, levels = fill_in(
            ansible_program("ansible"),
            sources,
            hostvars_of(merged),
            tree,
            hostvars_of(exported),
            playbook_dir=playbook_dir,
        )
        chosen = chosen_hosts(tree)
        _check_limit(limit, chosen)
        fleet = fleet_from_hostvars(
            {host: hostvars.get(host, {}) for host in chosen},
            {host: tree.groups_of(host) for host in chosen},
            levels=levels,
            complete=limit is None,
            resolve=resolve,
        )
    except InventoryError as error:
        places = [_placed(each, sources, playbook_dir) for each in error.problems or [error]]
        raise_if_any(places)
        raise
    unread = unread_files(sources, playbook_dir, {*tree.hosts(), *tree.groups()})
    return dataclasses.replace(fleet, unread_files=unread)


def _check_limit(limit: str | None, chosen: Collection[str]) -> None:
    if limit and not chosen:
        hint = f"Name hosts of the group {AGENTS_GROUP}"
        raise InventoryError(f"None of the hosts of --limit {limit} is an agent", hint=hint)


def _placed(error: InventoryError, sources: Sequence[Path | str], playbook_dir: Path | str) -> InventoryError:
    """Say of an error in which file and line it is, as far as that can be found."""
    place = next(_definitions(sources, playbook_dir, error), ", ".join(map(str, sources)))
    named = f"{place}: {error.where}" if error.where else place
    return InventoryError(error.message, host=error.host, variable=error.variable, where=named, hint=error.hint)


def ansible_program(name: str) -> str:
    """Ansible's program of that name: beside this Python first, then on PATH.

    Raises:
        InventoryError: there is none.
    """
    beside = Path(sys.executable).parent / name
    if found := str(beside) if beside.exists() else shutil.which(name):
        return found
    raise InventoryError(f"{name} is not installed", hint="Install ansible-core beside kraken-fleet")


def _both_listings(
    sources: Sequence[Path | str], limit: str | None, playbook_dir: Path | str
) -> tuple[dict[str, object], dict[str, object]]:
    command = [ansible_program("ansible-inventory"), "--list", "--playbook-dir", str(playbook_dir)]
    for source in sources:
        command += ["-i", str(source)]
    if limit:
        command += ["--limit", limit]
    # Merged variables follow Ansible's precedence to the letter; exported ones keep each level apart.
    with ThreadPoolExecutor(max_workers=2) as pool:
        merged = pool.submit(_listing, command, sources)
        exported = pool.submit(_listing, [*command, "--export"], sources)
        return merged.result(), exported.result()


def _listing(command: Sequence[str], sources: Sequence[Path | str]) -> dict[str, object]:
    where = ", ".join(map(str, sources))
    try:
        done = run_ansible(command, _TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise InventoryError(f"ansible-inventory did not end within {_TIMEOUT:g} s", where=where) from error
    complaint = _complaint(done.stderr)
    if found := re.search(r"Could not match supplied host pattern, ignoring: (\S+)", complaint):
        said = f"No host and no group of the inventory matches {found[1]!r}"
        raise InventoryError(said, where=where, hint="Correct --limit; `ansible-inventory --graph` shows the names")
    # A file that cannot be parsed is only a warning to Ansible; the fleet would silently be empty.
    if done.returncode or "Unable to parse" in complaint or "Failed to parse" in complaint:
        raise InventoryError(complaint or "ansible-inventory failed", where=where)
    try:
        found = json.loads(done.stdout, object_hook=_unmarked)
    except ValueError as error:
        said = f"ansible-inventory did not write JSON, but: {done.stdout.strip()[:200]!r}"
        raise InventoryError(said, where=where, hint="Run `ansible-inventory --list` with it to see all") from error
    if not isinstance(found, dict):
        raise InventoryError("ansible-inventory did not write an object", where=where)
    return found


def _unmarked(read: dict[str, object]) -> object:
    """Plain text for what Ansible marks as coming from elsewhere, as dynamic inventories' values do.

    Text that looks like a template stays marked: Ansible then gets it back as it is and does not run it.
    """
    text = read.get("__ansible_unsafe")
    return text if isinstance(text, str) and not re.search(r"\{[{%#]", text) else read


def _complaint(stderr: str) -> str:
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", stderr).split())
    return text.removeprefix("[ERROR]: ").removeprefix("ERROR! ").removeprefix("[WARNING]: ")[:1000]


def _definitions(sources: Sequence[Path | str], playbook_dir: Path | str, error: InventoryError) -> Iterator[str]:
    """Files that set the variable an error is about, host_vars of its host first."""
    if not error.variable:
        return
    name = re.match(r"\w+", error.variable)
    setting = re.compile(rf"(?:^|[\s\"'])({re.escape(name[0]) if name else '$'})[\"']?\s*[:=]")
    files = sorted(_files(sources, playbook_dir), key=lambda path: (not _about(path, error.host), str(path)))
    for path in files:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            continue
        yield from (f"{path}:{number}" for number, line in enumerate(lines, 1) if setting.search(line))


def _about(path: Path, host: str | None) -> bool:
    return host is not None and "host_vars" in path.parts and host in (path.name, path.stem, path.parent.name)


def _files(sources: Sequence[Path | str], playbook_dir: Path | str) -> Iterator[Path]:
    roots = {Path(source) for source in sources if Path(source).exists()}
    yield from (root for root in roots if root.is_file())
    folders = {root if root.is_dir() else root.parent for root in roots}
    yield from (path for root in roots if root.is_dir() for path in root.iterdir() if path.is_file())
    for folder in {*folders, Path(playbook_dir)}:
        for kind in ("host_vars", "group_vars"):
            yield from (path for path in (folder / kind).rglob("*") if path.is_file())
