"""From a request that changes something on the server to the words that the audit log has for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from kraken_fleet.model import METHODS, Change


class Recorder(Protocol):
    """Is told of each change that a client makes."""

    def check(self) -> None:
        """Raise a FleetError when changes cannot be recorded and therefore must not be made."""

    def record(self, change: Change) -> None:
        """Write a change down; it has been made, or has failed."""


class Names:
    """The names of agents and groups by their paths, as answers told them: a request has numbers only."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def note(self, path: str, body: object) -> None:
        """Remember the names in the answer to a request of agents or groups."""
        kind = path.split("/")[1]
        key = {"agents": "address", "groups": "name"}.get(kind)
        if key is None or not isinstance(body, Mapping):
            return
        for item in body.get("items", [body]):
            if isinstance(item, Mapping) and "id" in item and key in item:
                self._known[f"/{kind}/{item['id']}"] = str(item[key])
                for group in item.get("groups") or ():
                    self._known[f"/groups/{group['id']}"] = str(group["name"])

    def add_agents(self, addresses: Mapping[int, str]) -> None:
        """Remember agents that somebody else listed."""
        self._known.update({f"/agents/{number}": address for number, address in addresses.items()})

    def of(self, path: str) -> str:
        """Return the name of what has this path; without one, what it is and its number: "agent 5"."""
        kind, number = path.split("/")[1:3]
        return self._known.get(path, f"{kind.removesuffix('s')} {number}")


_Words = Callable[[str, object, Names], Change]


def in_words(method: str, path: str, body: object, names: Names) -> Change:
    """Return what a request asks for.

    Args:
        path: what follows `/api`.
    """
    for verb, pattern, words in _REQUESTS:
        if verb == method and re.fullmatch(pattern, path):
            return words(path, body, names)
    return Change(f"{method} {path}")


def _authorize(_path: str, body: object, names: Names) -> Change:
    items = [item for item in body if isinstance(item, Mapping)] if isinstance(body, list) else []
    action = "authorize agents" if all(item.get("authorized") for item in items) else "unauthorize agents"
    return Change(action, tuple(names.of(f"/agents/{item['id']}") for item in items))


def _agent(path: str, body: object, names: Names) -> Change:
    asked, target = _fields(body), (names.of(path),)
    if "disabled" in asked:
        return Change("disable agent" if asked["disabled"] else "enable agent", target)
    if isinstance(groups := asked.get("groups"), list):
        return Change("set groups of agent", target, {"groups": [names.of(f"/groups/{one['id']}") for one in groups]})
    return Change("change agent", target, {"fields": sorted(asked)})


def _group(path: str, body: object, names: Names) -> Change:
    asked, target = _fields(body), (names.of(path),)
    if set(asked) == {"name"}:
        return Change("rename group", target, {"name": asked["name"]})
    if set(asked) == {"deployment"}:
        method = _fields(asked["deployment"]).get("method")
        name = next((name for name, number in METHODS.items() if number == method), str(method))
        return Change("set deployment of group", target, {"method": name})
    return Change("change group", target, {"fields": sorted(asked)})


def _settings(_path: str, body: object, _names: Names) -> Change:
    # Values may be passwords.
    chapters = {name: values for name, values in _fields(body).items() if isinstance(values, Mapping)}
    return Change("change settings", tuple(f"{name}.{key}" for name, values in chapters.items() for key in values))


def _named(action: str) -> _Words:
    return lambda path, _body, names: Change(action, (names.of(path),))


def _new(action: str) -> _Words:
    return lambda _path, body, _names: Change(action, _present([_fields(body).get("name")]))


def _below(action: str) -> _Words:
    """Return the words for what is made or changed below something that has a number."""
    return lambda path, body, names: Change(action, _present([_fields(body).get("name"), names.of(path)]))


def _fields(body: object) -> Mapping[str, object]:
    return body if isinstance(body, Mapping) else {}


def _present(found: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(one) for one in found if one)


_REQUESTS: tuple[tuple[str, str, _Words], ...] = (
    ("PATCH", r"/agents", _authorize),
    ("PUT", r"/agents/\d+", _agent),
    ("DELETE", r"/agents/\d+", _named("delete agent")),
    ("POST", r"/groups", _new("create group")),
    ("PUT", r"/groups/\d+", _group),
    ("DELETE", r"/groups/\d+", _named("delete group")),
    ("PUT", r"/settings", _settings),
    ("DELETE", r"/jobs/\d+", _named("cancel job")),
    ("DELETE", r"/runs/\d+", _named("cancel run")),
    ("POST", r"/projects", _new("create project")),
    ("POST", r"/projects/\d+/branches", _below("create branch")),
    ("POST", r"/branches/\d+/stages", _below("create stage")),
    ("PUT", r"/stages/\d+", _below("change stage")),
    ("POST", r"/branches/\d+/flows/\w+", _below("start flow")),
)
