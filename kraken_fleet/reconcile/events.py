"""What happens while a fleet is made as it should be, one value at a time, for people and for programs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from kraken_fleet.plan import Action, Plan, plan_to_dict


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened."""

    @property
    def kind(self) -> str:
        """The name of the class as programs read it, like `round_failed`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def to_dict(self) -> dict[str, object]:
        """Return the same for programs: one JSON line."""
        return {"event": self.kind, **{field.name: _plain(getattr(self, field.name)) for field in fields(self)}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Event):
    """Agents that the server does not know yet, by the names of their hosts, after so many seconds."""

    missing: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowded(Event):
    """Agents groups of which another upgrade has too many agents disabled, after so many seconds."""

    groups: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing(Event):
    """An agent that did not appear in time, and why that may be."""

    host: str
    address: str
    reason: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(Event):
    """What will be done."""

    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Event):
    """A change was made: the `number`th of `total`."""

    action: Action
    number: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """A change could not be made; further changes to the same agent are left out."""

    subject: str
    reason: str
    action: Action | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict(Event):
    """What a trust policy decided of an agent that was on trial."""

    subject: str
    policy: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPassed(_Verdict):
    """An agent that was on trial stays authorized."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFailed(_Verdict):
    """An agent that was on trial was unauthorized again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draining(Event):
    """Agents that still run a job, with the job's id, after so many seconds."""

    busy: Mapping[str, int]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(Event):
    """One agent or job is now `disabled`, `drained`, `enabled`, `removed`, `cancelled`, `over`, or in other groups."""

    subject: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Event):
    """All that could be done is done."""

    done: int
    failed: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundFailed(Event):
    """One round of a watch ended in an error; the next one follows after a Sleeping."""

    error: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleeping(Event):
    """A watch rests until its next round."""

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
