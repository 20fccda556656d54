"""In which file and line of an inventory a variable is set, for messages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from kraken_fleet.errors import InventoryError


def definitions(sources: Sequence[Path | str], playbook_dir: Path | str, error: InventoryError) -> Iterator[str]:
    """Find the files that set the variable an error is about, host_vars of its host first."""
    if not error.variable:
        return
    name = re.match(r"\w+", error.variable)
    # `name: value` of YAML and `name=value` of INI, at the start of a line or after a host in an INI file.
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
