"""An agent as the Kraken server knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from kraken_fleet.model.disabling import Disabling
from kraken_fleet.model.own_groups import is_own_group
from kraken_fleet.model.resources import Resources

# An agent may say anything of itself, of any length.
_LONGEST_REASON = 200
_LONGEST_VERSION = 40
# In seconds, more than any clock is off: such a number is no measurement.
_MOST_SECONDS = 1 << 40
# Why the agent takes no job at the moment; absent when it does.
NO_JOBS_KEY = "kraken_fleet_no_jobs"
# host-info carries these beside one key for each executor the agent has ("docker": "20.10.24").
_DESCRIPTIVE_KEYS = frozenset({"system", "system_type", "distro_name", "distro_version", "isolation_type", "isolation"})


@dataclass(frozen=True, slots=True)
class GroupRef:
    """An agents group as an agent lists it. It may have been deleted since: Kraken keeps listing it."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class JobRef:
    """The job that an agent is running, as the agent lists it."""

    id: int
    name: str = ""
    run_id: int | None = None


@dataclass(frozen=True, slots=True)
class HostInfo:
    """What an agent said about its host in its last accepted `host-info` message."""

    system: str = ""
    system_type: str = ""
    distro_name: str = ""
    distro_version: str = ""
    isolation_type: str = ""
    isolation: str = ""
    extra: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @property
    def executors(self) -> dict[str, str]:
        """Executor name to version. Every agent has `local`; others appear as a key of their own."""
        others = {name: str(self.extra[name]) for name in ("docker", "lxd") if self.extra.get(name)}
        return {"local": "", **others}

    @property
    def not_offered(self) -> dict[str, str]:
        """Why the agent does not offer an executor that its host has, by name; only our own agent says."""
        reasons = self.extra.get("kraken_fleet_not_offered")
        if not isinstance(reasons, Mapping):
            return {}
        # An agent's words: what does not print is left out, and they have an end.
        return {
            str(name): "".join(filter(str.isprintable, str(reason)))[:_LONGEST_REASON]
            for name, reason in reasons.items()
        }

    @property
    def agent_version(self) -> str:
        """The release of kraken-fleet's own agent; empty when it does not say, as Kraken's own one."""
        said = self.extra.get("kraken_fleet_version")
        return "".join(filter(str.isprintable, said))[:_LONGEST_VERSION] if isinstance(said, str) else ""

    @property
    def clock_ahead(self) -> int | None:
        """Seconds by which the host's clock is ahead of the server's; None when the agent does not say."""
        said = self.extra.get("kraken_fleet_clock_ahead")
        if isinstance(said, bool) or not isinstance(said, int) or abs(said) > _MOST_SECONDS:
            return None
        return said

    @property
    def no_jobs(self) -> str:
        """Why the agent takes no job at the moment, such as a full disk; empty when it does, and for Kraken's own."""
        said = self.extra.get(NO_JOBS_KEY)
        return "".join(filter(str.isprintable, said))[:_LONGEST_REASON] if isinstance(said, str) else ""

    @property
    def resources(self) -> Resources:
        """What its host has; Kraken's own agent says nothing of that, and then all of it is None."""
        return Resources.parse(self.extra.get("kraken_fleet_host"))

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> HostInfo:
        known = {key: str(data.get(key) or "") for key in _DESCRIPTIVE_KEYS}
        extra = {key: value for key, value in data.items() if key not in _DESCRIPTIVE_KEYS}
        return cls(**known, extra=MappingProxyType(extra))


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent record of a Kraken server.

    `address` is what the agent claims to be and is the only identity Kraken has; `ip_address` is where its last
    message came from. `host_info` is None until the first `host-info` after authorization.
    """

    id: int
    name: str
    address: str
    ip_address: str | None = None
    authorized: bool = False
    disabled: bool = False
    state: int = 0
    groups: tuple[GroupRef, ...] = ()
    host_info: HostInfo | None = None
    job: JobRef | None = None
    created: datetime | None = None
    last_seen: datetime | None = None
    deleted: datetime | None = None
    comment: str | None = None
    status_line: str | None = None
    extra_attrs: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    user_attrs: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @property
    def shown_groups(self) -> tuple[GroupRef, ...]:
        """Its groups, without those that kraken-fleet makes for itself for a while."""
        return tuple(group for group in self.groups if not is_own_group(group.name))

    def as_shown(self) -> Agent:
        """Return the agent with no other groups than these."""
        return replace(self, groups=self.shown_groups)

    @property
    def group_names(self) -> frozenset[str]:
        """The names of its groups, without those that kraken-fleet makes for itself for a while."""
        return frozenset(group.name for group in self.shown_groups)

    @property
    def disabling(self) -> Disabling | None:
        """Who disabled it, why and until when, as far as that was said; None when it is enabled."""
        if not self.disabled:
            return None
        said = (Disabling.parse(group.name) for group in self.groups)
        return max((one for one in said if one), key=lambda one: one.since, default=None)

    @property
    def enabled(self) -> bool:
        return not self.disabled
