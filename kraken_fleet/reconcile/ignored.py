"""Discovered agents that somebody chose to ignore. Kept in the state directory: Kraken has no such notion."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path

from kraken_fleet import whole_file


class Ignored:
    """Addresses in a JSON file, replaced whole on each change.

    Args:
        directory: the state directory; it need not be there.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "ignored.json"
        # Each request to the console has a thread of its own.
        self._lock = threading.Lock()

    def addresses(self) -> frozenset[str]:
        if not self._path.is_file():
            return frozenset()
        return frozenset(json.loads(self._path.read_text(encoding="utf-8")))

    def add(self, addresses: Iterable[str]) -> None:
        with self._lock:
            self._replace(self.addresses() | set(addresses))

    def discard(self, addresses: Iterable[str]) -> None:
        with self._lock:
            self._replace(self.addresses() - set(addresses))

    def _replace(self, addresses: frozenset[str]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        whole_file.write(self._path, json.dumps(sorted(addresses)))
