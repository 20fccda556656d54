"""A plan as a whole, and as a JSON document (docs/plan-schema.md)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from kraken_fleet.errors import PlanError
from kraken_fleet.plan.actions import ACTION_TYPES, Action
from kraken_fleet.plan.findings import Finding
from kraken_fleet.plan.prune import PruneNumbers

# Raised when a reader of the old number would misunderstand the new document.
SCHEMA = "kraken-fleet/plan/1"
_KINDS = {kind.kind: kind for kind in ACTION_TYPES}
ActionType = TypeVar("ActionType", bound=Action)


@dataclass(frozen=True, slots=True)
class Plan:
    """What would change, in the order in which it would be done.

    Args:
        actions: the changes.
        findings: what a person should know besides.
        prune: numbers about agents that the inventory does not have.
        created: when it was made, in UTC.
        server: the URL it is for, empty when not told.
        complete: whether the inventory was whole.
        scope: addresses of the agents it rests on; None for all of the server.
        groups: names of the agents groups it rests on.
        inventory_fingerprint: see kraken_fleet.plan.fingerprint.
        server_fingerprint: likewise.
    """

    actions: tuple[Action, ...] = ()
    findings: tuple[Finding, ...] = ()
    prune: PruneNumbers = field(default_factory=PruneNumbers)
    created: datetime | None = None
    server: str = ""
    complete: bool = True
    scope: frozenset[str] | None = None
    groups: frozenset[str] = frozenset()
    inventory_fingerprint: str = ""
    server_fingerprint: str = ""

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.actions)

    def of(self, kind: type[ActionType]) -> tuple[ActionType, ...]:
        """The actions of one kind."""
        return tuple(action for action in self.actions if isinstance(action, kind))

    def summary(self) -> dict[str, int]:
        """How many actions there are of each kind; kinds without any are left out."""
        counted = Counter(action.kind for action in self.actions)
        return {kind: counted[kind] for kind in _KINDS if counted[kind]}


def plan_to_dict(plan: Plan) -> dict[str, object]:
    """The document."""
    return {
        "schema": SCHEMA,
        "created": plan.created.isoformat() if plan.created else None,
        "server": plan.server,
        "complete": plan.complete,
        "changes": plan.changes,
        "summary": plan.summary(),
        "actions": [{"kind": action.kind, **_plain(asdict(action))} for action in plan.actions],
        "findings": [asdict(finding) for finding in plan.findings],
        "prune": {**asdict(plan.prune), "percent": round(plan.prune.percent, 1)},
        "scope": None if plan.scope is None else sorted(plan.scope),
        "groups": sorted(plan.groups),
        "inventory_fingerprint": plan.inventory_fingerprint,
        "server_fingerprint": plan.server_fingerprint,
    }


def plan_from_dict(data: Mapping[str, Any], *, where: str = "plan") -> Plan:
    """The plan that a document holds.

    Args:
        where: the file's name, for errors.

    Raises:
        PlanError: it is no plan, of a schema that this version does not read, or damaged.
    """
    found = data.get("schema") if isinstance(data, Mapping) else None
    if found != SCHEMA:
        raise PlanError(f"its schema is {found!r}, not {SCHEMA}", where=where, hint="Make a new plan")
    try:
        prune = data["prune"]
        return Plan(
            actions=tuple(_action(item) for item in data["actions"]),
            findings=tuple(Finding(**item) for item in data["findings"]),
            prune=PruneNumbers(prune["candidates"], prune["total"], prune["refused"]),
            created=datetime.fromisoformat(data["created"]) if data["created"] else None,
            server=str(data["server"]),
            complete=bool(data["complete"]),
            scope=None if data["scope"] is None else frozenset(data["scope"]),
            groups=frozenset(data["groups"]),
            inventory_fingerprint=str(data["inventory_fingerprint"]),
            server_fingerprint=str(data["server_fingerprint"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PlanError(
            f"it is damaged ({type(error).__name__}: {error})", where=where, hint="Make a new plan"
        ) from error


def plan_to_json(plan: Plan) -> str:
    """The document as text, indented, to be read by people as well."""
    return json.dumps(plan_to_dict(plan), indent=2) + "\n"


def plan_from_json(text: str, *, where: str = "plan") -> Plan:
    """The plan in a text.

    Raises:
        PlanError: as plan_from_dict, or the text is not JSON.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise PlanError(f"it is not JSON ({error})", where=where, hint="Make a new plan") from error
    return plan_from_dict(data, where=where)


def _action(item: Mapping[str, Any]) -> Action:
    kind = _KINDS[item["kind"]]
    given = {name: _frozen(value) for name, value in item.items() if name != "kind"}
    if unknown := given.keys() - {field.name for field in fields(kind)}:
        raise ValueError(f"{kind.kind} has no {', '.join(sorted(unknown))}")
    for number in (*(given[name] for name in ("agent_id", "group_id") if name in given), *given.get("kept", ())):
        if not isinstance(number, int):
            raise TypeError(f"{number!r} is not an id")
    return kind(**given)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
