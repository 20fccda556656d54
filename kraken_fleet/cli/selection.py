"""Finding the agents, groups and jobs that a command line names."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Sequence

from kraken_fleet.errors import FleetError, UsageError
from kraken_fleet.inventory import Inventory
from kraken_fleet.model import Agent, AgentsGroup, HostNames, ip_of

_NAMELESS = HostNames()
PATTERNS = "Host names of the inventory, names, addresses, agents groups or ids; patterns as for Ansible's --limit."


def names_of(inventory: Inventory | None) -> HostNames:
    """Read the host names of an inventory; without one there are none.

    Raises:
        InventoryError: the inventory is wrong.
    """
    return HostNames(inventory.fleet().by_address() if inventory else None)


def find_agents(
    patterns: Sequence[str], known: Sequence[Agent], names: HostNames = _NAMELESS, *, one_each: bool = False
) -> list[Agent]:
    """Return the agents that the patterns stand for, each once, in the order of their addresses.

    A pattern is written as for Ansible's `--limit`: parts separated by commas or colons, `*`, `?` and `[ab]`, `!` for
    those to leave out, `&` for those that have to be in as well, `~` for a regular expression. A part stands for
    inventory host names, names, addresses and agents groups; and for an id, when it is nothing of these.

    Args:
        known: the agents of the server.
        names: of the inventory's hosts.
        one_each: a part without wildcards has to stand for one agent: an agent that waits may call itself anything.

    Raises:
        FleetError: a part stands for no agent, or for several where it may not, or no agent is left.
        UsageError: a regular expression is not one.
    """
    parts = [part for text in patterns for part in _parts(text)]
    positive = [part for part in parts if part[0] not in "!&"]
    found = {part: _matching(part, known, names) for part in positive}
    for part in positive if one_each else ():
        if len(found[part]) > 1 and not set(part) & set("*?[~"):
            ids = ", ".join(str(agent.id) for agent in found[part])
            raise FleetError(f"{part!r} stands for several agents", hint=f"Name one by its id: {ids}")
    chosen = {agent.id for agents in found.values() for agent in agents}
    # As Ansible's --limit: when parts only leave out, all the others are meant.
    if parts and not positive:
        chosen = {agent.id for agent in known}
    for part in parts:
        if part[0] == "&":
            chosen &= {agent.id for agent in _matching(part[1:], known, names)}
    for part in parts:
        if part[0] == "!":
            chosen -= {agent.id for agent in _matching(part[1:], known, names)}
    if not chosen:
        raise FleetError(f"No agent is left of {', '.join(patterns)!r}", hint="See `kraken-fleet agents list`")
    return sorted((agent for agent in known if agent.id in chosen), key=lambda agent: (agent.address, agent.id))


def find_group(wanted: str, known: Iterable[AgentsGroup]) -> AgentsGroup:
    """Return the agents group with this name or id.

    Raises:
        FleetError: there is none.
    """
    groups = list(known)
    for group in groups:
        if wanted in (group.name, str(group.id)):
            return group
    near = difflib.get_close_matches(wanted, [group.name for group in groups], n=1)
    hint = f"Did you mean {near[0]}?" if near else "See `kraken-fleet groups list`"
    raise FleetError(f"There is no agents group {wanted!r}", hint=hint)


def matches(pattern: str, where: str = "") -> Callable[[str], bool]:
    """Return what says whether a name is as a pattern, with the wildcards of Ansible's `--limit`.

    Raises:
        UsageError: a regular expression is not one.
    """
    if not pattern.startswith("~"):
        return lambda name: fnmatch.fnmatchcase(name, pattern)
    try:
        regex = re.compile(pattern[1:])
    except re.error as error:
        raise UsageError(f"The regular expression {pattern[1:]!r} is wrong: {error}", where=where or None) from error
    return lambda name: bool(regex.match(name))


def _parts(text: str) -> list[str]:
    """Split a pattern as Ansible does: at commas, else at colons, unless it is an IPv6 address."""
    whole = text.lstrip("!&")
    # Colons separate parts, and belong to an IPv6 address or a regular expression as well.
    if "," not in text and (ip_of(whole) or text.startswith("~")):
        return [text]
    found = [part.strip() for part in text.split("," if "," in text else ":")]
    parts = [part for part in found if part.lstrip("!&")]
    if not parts:
        raise UsageError(f"{text!r} names no agent", hint="Give host names, addresses, agents groups, or patterns")
    return parts


def _matching(part: str, known: Sequence[Agent], names: HostNames) -> list[Agent]:
    fits = matches(part)
    found = [agent for agent in known if any(map(fits, _words(agent, names)))]
    found = found or [agent for agent in known if part == str(agent.id)]
    if not found:
        near = difflib.get_close_matches(part, {word for agent in known for word in _words(agent, names)}, n=1)
        hint = "See `kraken-fleet agents list` and `kraken-fleet discovered list`"
        raise FleetError(f"The server has no agent {part!r}", hint=f"Did you mean {near[0]}?" if near else hint)
    return found


def _words(agent: Agent, names: HostNames) -> Collection[str]:
    """Return all that an agent may be called by."""
    return {agent.name, agent.address, *names.of(agent), *agent.group_names}
