"""A plan as a whole, and as a JSON document (docs/plan-schema.md)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from types import UnionType
from typing import Any, TypeVar, get_args, get_type_hints

from kraken_fleet.errors import PlanError
from kraken_fleet.plan.actions import ACTION_TYPES, Action
from kraken_fleet.plan.finding import Finding
from kraken_fleet.plan.prune import PruneNumbers

# Raised when a reader of the old number would misunderstand the new document.
SCHEMA = "kraken-fleet/plan/1"
_KINDS = {kind.kind: kind for kind in ACTION_TYPES}
# By class, the types of its fields.
_FIELDS: dict[type, dict[str, Any]] = {
    kind: {field.name: get_type_hints(kind)[field.name] for field in fields(kind)} for kind in (*ACTION_TYPES, Finding)
}
ActionType = TypeVar("ActionType", bound=Action)
Made = TypeVar("Made")


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
        """Return the actions of one kind."""
        return tuple(action for action in self.actions if isinstance(action, kind))

    def summary(self) -> dict[str, int]:
        """Say how many actions there are of each kind; kinds without any are left out."""
        counted = Counter(action.kind for action in self.actions)
        return {kind: counted[kind] for kind in _KINDS if counted[kind]}


def plan_to_dict(plan: Plan) -> dict[str, object]:
    """Return the document."""
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
    """Return the plan that a document holds.

    Args:
        where: the file's name, for errors.

    Raises:
        PlanError: it is no plan, of a schema that this version does not read, or damaged.
    """
    found = data.get("schema") if isinstance(data, dict) else None
    if found != SCHEMA:
        raise PlanError(f"Its schema is {found!r}, not {SCHEMA}", where=where, hint="Make a new plan")
    try:
        return _plan(data)
    except (KeyError, TypeError, ValueError) as error:
        raise PlanError(
            f"It is damaged ({type(error).__name__}: {error})", where=where, hint="Make a new plan"
        ) from error


def plan_to_json(plan: Plan) -> str:
    """Return the document as text, indented, to be read by people as well."""
    return json.dumps(plan_to_dict(plan), indent=2) + "\n"


def plan_from_json(text: str | bytes, *, where: str = "plan") -> Plan:
    """Return the plan in a text.

    Raises:
        PlanError: as plan_from_dict, or the text is not JSON.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"It is not JSON ({error})", where=where, hint="Make a new plan") from error
    return plan_from_dict(data, where=where)


def _plan(data: Mapping[str, Any]) -> Plan:
    """Do what plan_from_dict does, but raise Python's own errors."""
    prune = _typed(data["prune"], dict)
    return Plan(
        actions=tuple(_action(item) for item in _typed(data["actions"], list)),
        findings=tuple(_made(Finding, item) for item in _typed(data["findings"], list)),
        prune=PruneNumbers(
            _typed(prune["candidates"], int), _typed(prune["total"], int), _typed(prune["refused"], str)
        ),
        created=None if data["created"] is None else datetime.fromisoformat(_typed(data["created"], str)),
        server=_typed(data["server"], str),
        complete=_typed(data["complete"], bool),
        scope=None if data["scope"] is None else _names(data["scope"]),
        groups=_names(data["groups"]),
        inventory_fingerprint=_typed(data["inventory_fingerprint"], str),
        server_fingerprint=_typed(data["server_fingerprint"], str),
    )


def _action(item: object) -> Action:
    given = dict(_typed(item, dict))
    return _made(_KINDS[_typed(given.pop("kind"), str)], given)


def _made(kind: type[Made], item: object) -> Made:
    """Return a value with these fields, each of which has to be what the class says."""
    given = {name: _frozen(value) for name, value in _typed(item, dict).items()}
    types = _FIELDS[kind]
    # A field that this version does not know may restrict what the plan does, so it cannot be left out.
    if unknown := given.keys() - types:
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    for name, value in given.items():
        if not _is_a(value, types[name]):
            raise TypeError(f"{name} of {kind.__name__} is {value!r:.60}")
    return kind(**given)


def _is_a(value: object, wanted: Any) -> bool:
    """Say whether a value is of a type like `int` or `tuple[tuple[str, str], ...]`."""
    parts = get_args(wanted)
    if not parts:
        return type(value) is wanted
    if isinstance(wanted, UnionType):
        return any(_is_a(value, part) for part in parts)
    if not isinstance(value, tuple):
        return False
    if parts[-1] is Ellipsis:
        return all(_is_a(item, parts[0]) for item in value)
    return len(value) == len(parts) and all(map(_is_a, value, parts))


def _typed(value: object, wanted: type[Made]) -> Made:
    # Python takes True for an int, and JSON tells the two apart.
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise TypeError(f"{value!r:.60} is no {wanted.__name__}")
    return value


def _names(value: object) -> frozenset[str]:
    return frozenset(_typed(item, str) for item in _typed(value, list))


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
