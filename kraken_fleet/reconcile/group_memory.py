"""What is known of a server's deleted agents groups, kept from one command to the next: to find each costs a call.

One small file for each server. It is only a memory: without it, or when it is of another server, they are asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from kraken_fleet.api import KnownGroups, KrakenClient
from kraken_fleet.model import AgentsGroup


class GroupMemory:
    """The memory in a directory, such as that of kraken_fleet.state.state_dir.

    Args:
        directory: it need not be there; one that cannot be written keeps nothing.
    """

    def __init__(self, directory: Path) -> None:
        self._folder = directory / "deleted-groups"

    def recall(self, client: KrakenClient, living: Iterable[AgentsGroup]) -> None:
        """Tell a client what is remembered of its server; nothing when the server behind the URL is another one."""
        alive = list(living)
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            text = self._file(client).read_text(encoding="utf-8")
            kept = json.loads(text)
            known = {int(number): _decode(int(number), group) for number, group in kept["groups"].items()}
            # A number that is of a living group now: the server's database was set back to an earlier state.
            if kept["birth"] == _birth(alive) and known.keys().isdisjoint(group.id for group in alive):
                client.add_known_deleted_groups(known)

    def keep(self, client: KrakenClient, living: Iterable[AgentsGroup]) -> None:
        """Write down what the client knows; the file is replaced whole, and only when it says something else."""
        file, birth = self._file(client), _birth(living)
        if not birth:
            return
        text = json.dumps({"server": client.url, "birth": birth, "groups": _encode(client.known_deleted_groups)})
        with contextlib.suppress(OSError):
            if file.exists() and file.read_text(encoding="utf-8") == text:
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh = file.with_suffix(".new")
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(file)

    def _file(self, client: KrakenClient) -> Path:
        return self._folder / f"{hashlib.sha256(client.url.encode()).hexdigest()[:16]}.json"


def _birth(living: Iterable[AgentsGroup]) -> str:
    """Say when the server's first group was made: it tells a server from another one that has taken its place."""
    first = min(living, key=lambda group: group.id, default=None)
    return first.created.isoformat() if first and first.created else ""


def _encode(known: KnownGroups) -> dict[str, Any]:
    return {
        str(number): {"name": group.name, "deleted": group.deleted.isoformat()} if group and group.deleted else None
        for number, group in sorted(known.items())
    }


def _decode(number: int, data: Any) -> AgentsGroup | None:
    if data is None:
        return None
    return AgentsGroup(id=number, name=str(data["name"]), deleted=datetime.fromisoformat(data["deleted"]))
