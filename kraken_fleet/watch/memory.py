"""What a watch remembers from round to round and over a restart, and the messages that it could not send yet.

One JSON file for each server and inventory, in the state directory. It is written before a message is sent and after
each receiver has it, so that an end at any moment forgets no message, and repeats at most the one that was on its way.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kraken_fleet.errors import FleetError
from kraken_fleet.state import digest_of, replace_json
from kraken_fleet.watch.changes import Known
from kraken_fleet.watch.message import Message
from kraken_fleet.watch.problems import Problem, Topic

# Of a receiver that stays away for days the newest messages are kept.
MOST_UNSENT = 50


@dataclass(frozen=True, slots=True)
class Unsent:
    """A message that some receivers have not got yet.

    Args:
        to: the receivers' identities.
    """

    message: Message
    to: frozenset[str]


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered: problems by their keys, and messages, the oldest first."""

    known: Mapping[str, Known] = field(default_factory=dict)
    unsent: tuple[Unsent, ...] = ()

    def with_message(self, message: Message, to: Collection[str]) -> Memory:
        """Add a message that receivers are to get."""
        return dataclasses.replace(self, unsent=(*self.unsent, Unsent(message, frozenset(to)))[-MOST_UNSENT:])

    def without(self, gone: Unsent, receiver: str) -> Memory:
        """Note that a receiver has got a message."""
        left = (dataclasses.replace(one, to=one.to - {receiver}) if one is gone else one for one in self.unsent)
        return dataclasses.replace(self, unsent=tuple(one for one in left if one.to))

    def only_to(self, receivers: Collection[str]) -> Memory:
        """Forget what was for receivers that there are no more."""
        left = (dataclasses.replace(one, to=one.to & set(receivers)) for one in self.unsent)
        return dataclasses.replace(self, unsent=tuple(one for one in left if one.to))


class MemoryFile:
    """The file.

    Args:
        directory: the state directory.
        server: its URL.
        inventory: what it is compared with.
    """

    def __init__(self, directory: Path, server: str, inventory: str) -> None:
        self._about = {"server": server, "inventory": inventory}
        self._path = directory / "watch" / f"{digest_of(f'{server} {inventory}')}.json"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a second watch of the same server and inventory out: it would send everything again.

        Raises:
            FleetError: there is one already, or the directory cannot be written.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A file of its own: replace_json puts a new file in the place of the old one, which a lock would stay on.
            file = self._path.with_suffix(".lock").open("w", encoding="utf-8")
        except OSError as error:
            raise self._unwritable(error) from error
        with file:
            try:
                # The kernel takes the lock back however the process ends, so a killed watch keeps no later one out.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                hint = "End it, or give this one another state directory with KRAKEN_FLEET_STATE_DIR"
                message = "Another `kraken-fleet watch` of this account watches the same server and inventory"
                raise FleetError(message, where=str(self._path), hint=hint) from error
            yield

    def read(self) -> Memory:
        """Return what is remembered; nothing at the first time.

        Raises:
            FleetError: the file is damaged. Without it people would be told of everything again.
        """
        if not self._path.exists():
            return Memory()
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            known = [_known(one) for one in kept["known"]]
            return Memory({one.problem.key: one for one in known}, tuple(_unsent(one) for one in kept["unsent"]))
        except (OSError, ValueError, TypeError, KeyError) as error:
            hint = "Delete the file: then people are told of every problem again"
            raise FleetError("What the watch remembers cannot be read", where=str(self._path), hint=hint) from error

    def write(self, memory: Memory) -> None:
        """Replace the file.

        Raises:
            FleetError: it cannot be written.
        """
        known = [_plain(dataclasses.asdict(one)) for one in memory.known.values()]
        unsent = [{**dataclasses.asdict(one.message), "to": sorted(one.to)} for one in memory.unsent]
        try:
            replace_json(self._path, {**self._about, "known": known, "unsent": unsent})
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> FleetError:
        hint = "Without it each round would send the same again. Choose another directory with KRAKEN_FLEET_STATE_DIR"
        return FleetError(f"The state cannot be written: {error.strerror}", where=str(self._path.parent), hint=hint)


def _plain(known: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in known.items()}


def _known(data: dict[str, Any]) -> Known:
    problem = data["problem"]
    return Known(
        Problem(**{**problem, "topic": Topic(problem["topic"])}),
        datetime.fromisoformat(data["since"]),
        datetime.fromisoformat(data["told"]) if data["told"] else None,
        here=bool(data["here"]),
        open=bool(data["open"]),
    )


def _unsent(data: dict[str, Any]) -> Unsent:
    return Unsent(Message(data["title"], data["body"], data["severity"]), frozenset(data["to"]))
