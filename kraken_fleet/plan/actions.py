"""The single changes that a plan is made of. Each says what it does, to whom, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateGroup:
    """A new agents group."""

    kind: ClassVar[str] = "create_group"
    name: str
    reason: str = ""

    def describe(self) -> str:
        return f"create agents group {self.name}"

    @property
    def brief(self) -> str:
        """The same in the line of what it is about."""
        return "created"


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameGroup:
    """Another name for a group whose name is used twice; runs that name it fail until then."""

    kind: ClassVar[str] = "rename_group"
    group_id: int
    name: str
    new_name: str
    deleted: bool = False
    reason: str = ""

    def describe(self) -> str:
        which = "deleted agents group" if self.deleted else "agents group"
        return f"rename {which} {self.name} (id {self.group_id}) to {self.new_name}"

    @property
    def brief(self) -> str:
        return f"renamed to {self.new_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDeployment:
    """Change how Kraken makes the agents of a group in a cloud.

    Args:
        name: of the group.
        method: how they are made from now on.
        settings: those of the method that change; others stay as the server has them.
        secrets: names of settings that change and are shown nowhere: whoever applies the plan gives the inventory.
        before_method: how they are made now, empty for a new group.
        before: the settings as they are now.
    """

    kind: ClassVar[str] = "set_deployment"
    name: str
    method: str
    settings: tuple[tuple[str, str | int | bool], ...] = ()
    secrets: tuple[str, ...] = ()
    before_method: str = ""
    before: tuple[tuple[str, str | int | bool], ...] = ()
    reason: str = ""

    def describe(self) -> str:
        return f"deployment of agents group {self.name}: {self._changes}"

    @property
    def brief(self) -> str:
        return f"deployment {self._changes}"

    @property
    def _changes(self) -> str:
        earlier = dict(self.before)
        parts = [] if self.before_method == self.method else [_change("method", self.before_method, self.method)]
        parts += [_change(name, earlier.get(name), value) for name, value in self.settings]
        return ", ".join([*parts, *(f"{name} (hidden)" for name in self.secrets)])


def _change(name: str, before: object, after: object) -> str:
    return f"{name} {after}" if before in (None, "") else f"{name} {before} -> {after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _AgentAction:
    """What all changes to one agent have.

    Args:
        agent_id: the server's number of the agent.
        address: that it claims.
        host: its name in the inventory, empty when it has none.
        reason: why, in words.
    """

    kind: ClassVar[str] = ""
    result: ClassVar[str] = ""
    agent_id: int
    address: str
    host: str = ""
    reason: str = ""

    @property
    def label(self) -> str:
        return f"{self.host} ({self.address})" if self.host and self.host != self.address else self.address

    def describe(self) -> str:
        return f"{self.kind} {self.label}"

    @property
    def brief(self) -> str:
        return self.result


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorize(_AgentAction):
    """Authorize an agent.

    Args:
        policy: the trust policy that names it.
        on_trial: authorize it disabled; its host info, which the server reads only then, decides whether it stays.
        enable: enable it once it has passed its trial.
        groups: agents groups that it then comes into.
        exact: whether it then leaves all others.
    """

    kind: ClassVar[str] = "authorize"
    policy: str
    on_trial: bool = False
    enable: bool = False
    groups: tuple[str, ...] = ()
    exact: bool = False

    def describe(self) -> str:
        return f"authorize {self.label}" + (" on trial" if self.on_trial else "")

    @property
    def brief(self) -> str:
        return "authorized" + (" on trial" if self.on_trial else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetGroups(_AgentAction):
    """Change the groups of an agent. The server replaces the whole set, so it is given the whole set.

    Args:
        kept: ids of living groups that it stays in, `all` among them.
        added: names of groups it comes into.
        removed: names of groups it leaves.
        reasons: for each added group, why.
    """

    kind: ClassVar[str] = "set_groups"
    kept: tuple[int, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    reasons: tuple[tuple[str, str], ...] = ()

    def describe(self) -> str:
        return f"groups of {self.label}: {self._changes}"

    @property
    def brief(self) -> str:
        return f"groups {self._changes}"

    @property
    def _changes(self) -> str:
        return " ".join([*(f"+{name}" for name in self.added), *(f"-{name}" for name in self.removed)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Enable(_AgentAction):
    """Let an agent have jobs."""

    kind: ClassVar[str] = "enable"
    result: ClassVar[str] = "enabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disable(_AgentAction):
    """Keep new jobs from an agent; one that it runs goes on."""

    kind: ClassVar[str] = "disable"
    result: ClassVar[str] = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unauthorize(_AgentAction):
    """Take an agent's authorization back."""

    kind: ClassVar[str] = "unauthorize"
    result: ClassVar[str] = "not authorized any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck(_AgentAction):
    """Verify an authorized agent again; unauthorize it when it does not report the secret of its host in time.

    Args:
        policy: the trust policy that asks for it.
    """

    kind: ClassVar[str] = "recheck"
    result: ClassVar[str] = "has to report its secret"
    policy: str

    def describe(self) -> str:
        return f"unauthorize {self.label} unless it reports its secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAgent(_AgentAction):
    """Delete an agent's record."""

    kind: ClassVar[str] = "delete_agent"
    result: ClassVar[str] = "deleted"

    def describe(self) -> str:
        return f"delete {self.label}"


GroupAction = CreateGroup | RenameGroup | SetDeployment
AgentAction = Disable | Authorize | SetGroups | Enable | Unauthorize | DeleteAgent | Recheck
Action = GroupAction | AgentAction
# In the order in which they are done. Verification comes first: an agent that fails it gets nothing else. An agent is
# disabled before it is authorized, and enabled after its groups are right, so that no job comes too early.
ACTION_TYPES: tuple[type[Action], ...] = (
    Recheck,
    RenameGroup,
    CreateGroup,
    SetDeployment,
    Disable,
    Authorize,
    SetGroups,
    Enable,
    Unauthorize,
    DeleteAgent,
)
