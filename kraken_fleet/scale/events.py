"""What happens while a fleet is deployed or upgraded in slices, as values; each is one line of JSON for programs."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sliced:
    """The hosts are divided; nothing was done to any yet. How many hosts each slice has, by its number."""

    slices: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class SliceStarted:
    """A worker has begun with a slice. It says so again when another one has to begin anew."""

    slice: int
    worker: str


@dataclass(frozen=True, slots=True)
class HostStarted:
    """A task has begun on a host."""

    slice: int
    host: str


@dataclass(frozen=True, slots=True)
class HostDone:
    """A task has ended on a host: `ok`, `changed`, `failed` or `unreachable`."""

    slice: int
    host: str
    state: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class SliceEnded:
    """A slice is done: what ansible-playbook has returned, and the results of its hosts.

    Args:
        hosts: by host, as the file of kraken_registration_results has them.
    """

    slice: int
    code: int
    hosts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    message: str = ""


@dataclass(frozen=True, slots=True)
class BatchStarted:
    """The agents of these hosts are drained next, upgraded and proven, before the next batch is begun.

    Args:
        batch: its number.
        batches: how many there are.
        hosts: those that need the upgrade.
    """

    batch: int
    batches: int
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """A line for people: what ansible-playbook has printed on this machine, or what was done on the server."""

    line: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Everything is done; the exit code is ansible-playbook's."""

    code: int
    failed: Mapping[str, str] = field(default_factory=dict, hash=False)


SliceEvent = SliceStarted | HostStarted | HostDone | SliceEnded
DeployEvent = Sliced | SliceEvent | BatchStarted | Output | Ended
Events = Generator[DeployEvent, None, None]
SLICE_EVENTS = (SliceStarted, HostStarted, HostDone, SliceEnded)


def to_dict(event: DeployEvent) -> dict[str, Any]:
    """Return an event as JSON has it."""
    return {"event": type(event).__name__, **asdict(event)}


def slice_event(data: Mapping[str, Any]) -> SliceEvent:
    """Read an event that a worker has sent.

    Raises:
        ValueError: it is none.
    """
    for kind in SLICE_EVENTS:
        if data.get("event") == kind.__name__:
            try:
                return kind(**{name: value for name, value in data.items() if name != "event"})
            except TypeError as error:
                raise ValueError(str(error)) from error
    raise ValueError(f"{data.get('event')!r} is no event of a slice")
