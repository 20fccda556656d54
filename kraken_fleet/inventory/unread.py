"""Files of variables that lie where no deploy looks for them.

Ansible reads group_vars and host_vars beside the inventory, and beside the playbook that has the play. A project that
imports `kraken_ci.fleet.deploy_agents` has that play in the collection: the group_vars beside its own site.yml are then
read by nobody, and nobody says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from kraken_fleet.collection import variables as declared_variables
from kraken_fleet.model import UnreadFile

# In the usual layouts the inventory is in inventories/production of a project, and site.yml at its top.
_LEVELS_UP = 2
_SUFFIXES = ("", ".yml", ".yaml", ".json")
_SETTING = re.compile(r"^[ {]*[\"']?(kraken_\w+)[\"']?\s*:", re.MULTILINE)
_LARGEST = 1_000_000


def unread_files(
    sources: Sequence[Path | str], playbook_dir: Path | str, names: Collection[str]
) -> tuple[UnreadFile, ...]:
    """Find them in the current directory and in those above the inventory.

    Args:
        sources: the inventory.
        playbook_dir: where group_vars and host_vars beside playbooks are.
        names: the hosts and groups of the inventory; files of others are no concern of it.
    """
    places = [Path(source).resolve() for source in sources if "," not in str(source)]
    beside = [place if place.is_dir() else place.parent for place in places]
    above = [parent for place in beside for parent in list(place.parents)[:_LEVELS_UP]]
    read = {*beside, Path(playbook_dir).resolve()}
    folders = [folder for folder in dict.fromkeys([Path.cwd().resolve(), *above]) if folder not in read]
    return tuple(found for folder in folders for found in _of_folder(folder, names))


def _of_folder(folder: Path, names: Collection[str]) -> Iterator[UnreadFile]:
    known = declared_variables()
    for kind in ("group_vars", "host_vars"):
        for path in sorted(_files(folder / kind, names)):
            found = dict.fromkeys(name for name in _SETTING.findall(_text(path)) if name in known)
            if found:
                yield UnreadFile(str(path), tuple(found))


def _files(folder: Path, names: Collection[str]) -> Iterator[Path]:
    """Give what Ansible would read here: NAME, NAME.yml, or all below a directory NAME."""
    try:
        entries = [entry for entry in folder.iterdir() if entry.stem in names or entry.name in names]
    except OSError:
        return
    for entry in entries:
        if entry.is_dir():
            yield from (path for path in entry.rglob("*") if path.is_file() and path.suffix in _SUFFIXES)
        elif entry.suffix in _SUFFIXES or entry.name in names:
            yield entry


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.stat().st_size <= _LARGEST else ""
    except (OSError, ValueError):
        return ""
