"""Makes the JSON schemas of what commands print with --json, out of the models that they print: docs/schemas.

`make docs` writes them, and `make check` compares them. `answers()` has a row for each command. The tests compare real
output with the schemas.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import core_schema

from kraken_fleet import reconcile, watch
from kraken_fleet.bundle import Bundle
from kraken_fleet.cli.lab_progress import Seen
from kraken_fleet.lab import LabStatus
from kraken_fleet.model import Agent, AgentsGroup, Disabling, Job, Secret
from kraken_fleet.plan import Plan
from kraken_fleet.plan.actions import ACTION_TYPES
from kraken_fleet.scale import DeployEvent
from kraken_fleet.server.backup.manifest import Entry, Manifest

Schema = dict[str, Any]
# Printed as a text that says that it is hidden; Pydantic asks the class itself.
Secret.__get_pydantic_core_schema__ = classmethod(lambda *_: core_schema.str_schema())
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_HOME = "https://github.com/kraken-ci/kraken-fleet/blob/main/docs/schemas/"
_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_YES_OR_NO: Schema = {"type": "boolean"}
_NUMBER: Schema = {"type": "integer"}
_TEXT_OR_NULL: Schema = {"anyOf": [_TEXT, {"type": "null"}]}
_CHANGING = (
    *("agents disable", "agents drain", "agents enable", "agents delete", "agents groups"),
    "jobs cancel",
)
_RECONCILED = (
    *(reconcile.Waiting, reconcile.Missing, reconcile.Planned, reconcile.Done, reconcile.Failed),
    *(reconcile.TrialPassed, reconcile.TrialFailed, reconcile.Draining, reconcile.Changed, reconcile.Finished),
    *(reconcile.RoundFailed, reconcile.Sleeping),
)
_WATCHED = (
    *(watch.Looked, watch.Appeared, watch.Over, watch.ToSend, watch.Sent, watch.NotSent),
    *(reconcile.Changed, reconcile.Failed, reconcile.RoundFailed, reconcile.Sleeping),
)


def answers() -> dict[str, tuple[tuple[str, ...], Schema]]:
    """Return the schemas by their names, each with the commands that print it."""
    group = _of(AgentsGroup)
    host = {"host": _TEXT_OR_NULL, "disabling": {"anyOf": [_of(Disabling), {"type": "null"}]}}
    agent = _and(_of(Agent), host)
    file = _of(Bundle)
    restored = _and(_of(Manifest), {"files": _list(_and(_object({"name": _TEXT}), _of(Entry)["properties"]))})
    finding = _object(
        {"check": _TEXT, "ok": {"enum": [True, False, None]}, "detail": _TEXT, "remedy": _TEXT},
        "What one look has shown",
    )
    return {
        "agents": (("agents list",), _list(agent)),
        "agent": (("agents show",), agent),
        "changes": (
            _CHANGING,
            _list(_object({"subject": _TEXT, "state": _TEXT}, "An agent or a job, and its state")),
        ),
        "discovered": (("discovered list",), _list(_of(Agent))),
        "ignored": (("discovered ignore",), _object({"ignored": _TEXTS})),
        "unignored": (("discovered unignore",), _object({"unignored": _TEXTS})),
        "authorized": (("authorize",), _object({"authorized": _TEXTS, "already": _TEXTS})),
        "groups": (("groups list",), _list(group)),
        "group-created": (("groups create",), _object({"created": _YES_OR_NO, "group": group})),
        "group-renamed": (("groups rename",), _object({"renamed": _YES_OR_NO, "group": group})),
        "group-deleted": (("groups delete",), _object({"deleted": group})),
        "jobs-waiting": (("jobs waiting",), _list(_object({"job": _of(Job), "stranded": _YES_OR_NO}))),
        "plan": (("plan",), plan()),
        "doctor": (("doctor",), {"type": "object", "additionalProperties": _list(finding)}),
        "bundles": (("bundle build", "bundle inspect"), _list(file)),
        "bundles-signed": (("bundle verify",), _list(_object({"file": _TEXT, "signed_by": _TEXT}))),
        "bundle-image": (("bundle image",), _object({"tag": _TEXT, "id": _TEXT})),
        "lab": (("lab up", "lab status"), _of(LabStatus)),
        "lab-demo": (("lab demo",), _object({"first": _of(Seen), "second": _of(Seen), "removed": _YES_OR_NO})),
        "lab-removed": (("lab down",), _object({"removed": _TEXTS})),
        "server": (("serve",), _object({"url": _TEXT, "log_addr": _TEXT, "first_password": _TEXT_OR_NULL})),
        "backup": (("serve backup",), _and(_object({"file": _TEXT, "size": _NUMBER}), restored["properties"])),
        "restored": (
            ("serve restore",),
            _and(_object({"data_dir": _TEXT, "before": _TEXT_OR_NULL}), restored["properties"]),
        ),
    }


def events() -> dict[str, tuple[tuple[str, ...], Schema]]:
    """Return the schemas of commands that print one JSON object on a line for each event."""
    return {
        "reconcile-events": (("apply", "reconcile"), {"anyOf": [_event(kind) for kind in _RECONCILED]}),
        "watch-events": (("watch",), {"anyOf": [_event(kind) for kind in _WATCHED]}),
        "deploy-events": (("deploy", "upgrade"), {"anyOf": [_named(kind) for kind in DeployEvent.__args__]}),
    }


def plan() -> Schema:
    """Return the schema of a plan: see docs/plan-schema.md."""
    made = _of(Plan)
    has: Schema = {
        "schema": {"const": "kraken-fleet/plan/1"},
        "changes": _YES_OR_NO,
        "summary": {"type": "object", "additionalProperties": _NUMBER},
        "actions": _list({"anyOf": [_and(_of(kind), {"kind": {"const": kind.kind}}) for kind in ACTION_TYPES]}),
        "prune": _and(made["properties"]["prune"], {"percent": {"type": "number"}}),
    }
    return _and(made, has)


def error() -> Schema:
    """Return the schema of the answer of a command that failed."""
    by_name: Schema = {"type": "object", "additionalProperties": _TEXT}
    said = _object({"kind": _TEXT, "message": _TEXT, "where": _TEXT_OR_NULL, "hint": _TEXT_OR_NULL})
    said["properties"] |= {"failures": by_name, "done": by_name}  # of PartialFailure only
    return _object({"ok": {"const": False}, "error": said}, "The answer of a command that failed.")


def files() -> dict[str, str]:
    """Return the text of each file in docs/schemas, by its name; index.json says which schema a command has."""
    index, made = {}, {"error.json": error()}
    for name, (commands, data) in answers().items():
        index |= dict.fromkeys(commands, f"{name}.json")
        made[f"{name}.json"] = _object({"ok": {"const": True}, "data": data}, _about(commands, "The answer of"))
    for name, (commands, schema) in events().items():
        index |= dict.fromkeys(commands, f"{name}.json")
        made[f"{name}.json"] = {"description": _about(commands, "A line of"), **schema}
    written = {name: {"$schema": _DIALECT, "$id": f"{_HOME}{name}", **schema} for name, schema in made.items()}
    return {name: f"{json.dumps(content, indent=1)}\n" for name, content in [("index.json", index), *written.items()]}


def table() -> str:
    """Return the commands and their schemas, as Markdown."""
    rows = ["| Command | Schema | Prints |\n|---|---|---|\n"]
    for printed, described in (("one document", answers()), ("a line for each event", events())):
        for name, (commands, _) in described.items():
            called = ", ".join(f"`{command}`" for command in commands)
            rows.append(f"| {called} | [{name}.json]({_HOME}{name}.json) | {printed} |\n")
    return "".join(rows)


def _event(kind: type[reconcile.Event]) -> Schema:
    """Return the schema of an event, whose class is told by a word with underscores."""
    made = _of(kind)
    word = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__).lstrip("_")
    has: Schema = {"event": {"const": word}}
    if "plan" in made["properties"]:
        has["plan"] = plan()
    if "action" in made["properties"]:
        actions = [_and(_of(one), {"kind": {"const": one.kind}, "does": _TEXT}) for one in ACTION_TYPES]
        has["action"] = {"anyOf": [*actions, *([{"type": "null"}] if kind is reconcile.Failed else [])]}
    return _and(made, has)


def _named(kind: type) -> Schema:
    return _and(_of(kind), {"event": {"const": kind.__name__}})


def _of(kind: type) -> Schema:
    """Return the schema of a model. Every field is printed, so each is required; what is a set is printed as a list."""
    made = TypeAdapter(kind).json_schema(mode="serialization")
    kinds = made.pop("$defs", {})
    return _filled(made, kinds)


def _filled(value: Any, kinds: Mapping[str, Schema]) -> Any:
    """Write definitions where they are used, and leave out what says nothing about what is printed."""
    if isinstance(value, list):
        return [_filled(one, kinds) for one in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _filled(kinds[value["$ref"].rpartition("/")[2]], kinds)
    kept = {name: one for name, one in value.items() if name not in ("title", "default", "required", "uniqueItems")}
    if "properties" in kept:
        properties = {name: _filled(one, kinds) for name, one in kept["properties"].items()}
        return _object(properties, kept.get("description", ""))
    return {name: _filled(one, kinds) if name != "description" else _first(one) for name, one in kept.items()}


def _object(properties: Schema, description: str = "") -> Schema:
    about = {"description": _first(description)} if description else {}
    return {**about, "type": "object", "properties": properties, "required": list(properties)}


def _and(schema: Schema, more: Schema) -> Schema:
    """Return an object with further fields."""
    return _object({**schema["properties"], **more}, schema.get("description", ""))


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _about(commands: Sequence[str], what: str) -> str:
    return f"{what} {', '.join(f'kraken-fleet {command} --json' for command in commands)}."


def _first(description: str) -> str:
    """Return the first paragraph of a docstring, in one line."""
    return " ".join(description.split("\n\n")[0].split())
