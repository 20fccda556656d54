"""What happens while a fleet is made as it should be, one value at a time, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import ClassVar

from kraken_fleet.plan import Action, Plan, plan_to_dict


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened."""

    kind: ClassVar[str] = ""

    def to_dict(self) -> dict[str, object]:
        """The same for programs: one JSON line."""
        return {"event": self.kind, **{field.name: _plain(getattr(self, field.name)) for field in fields(self)}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Event):
    """Agents that the server does not know yet, by the names of their hosts, after so many seconds."""

    kind: ClassVar[str] = "waiting"
    missing: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing(Event):
    """An agent that did not appear in time, and why that may be."""

    kind: ClassVar[str] = "missing"
    host: str
    address: str
    reason: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(Event):
    """What will be done."""

    kind: ClassVar[str] = "planned"
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Event):
    """A change was made: the `number`th of `total`."""

    kind: ClassVar[str] = "done"
    action: Action
    number: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """A change could not be made; further changes to the same agent are left out."""

    kind: ClassVar[str] = "failed"
    subject: str
    reason: str
    action: Action | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPassed(Event):
    """An agent that was let in on trial stays."""

    kind: ClassVar[str] = "trial_passed"
    subject: str
    policy: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFailed(Event):
    """An agent that was let in on trial was put out again."""

    kind: ClassVar[str] = "trial_failed"
    subject: str
    policy: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draining(Event):
    """Agents that still run a job, with the job's id, after so many seconds."""

    kind: ClassVar[str] = "draining"
    busy: Mapping[str, int]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(Event):
    """One agent is now `drained`, `enabled` or `removed`."""

    kind: ClassVar[str] = "changed"
    subject: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Event):
    """All that could be done is done."""

    kind: ClassVar[str] = "finished"
    done: int
    failed: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundFailed(Event):
    """One round of a watch ended in an error; the next one comes in so many seconds."""

    kind: ClassVar[str] = "round_failed"
    error: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleeping(Event):
    """A watch rests until its next round."""

    kind: ClassVar[str] = "sleeping"
    seconds: float


def _plain(value: object) -> object:
    if isinstance(value, Plan):
        return plan_to_dict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Action):
        return {"kind": value.kind, "does": value.describe(), **asdict(value)}
    return value
