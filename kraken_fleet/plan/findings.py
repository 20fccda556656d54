"""What a person should know that is no change by itself: who is missing, who is strange, who is silent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from kraken_fleet.model import ALL_GROUP, Agent, DesiredAgent, DesiredFleet, ObservedFleet, ago
from kraken_fleet.plan import host_findings
from kraken_fleet.plan.finding import Finding
from kraken_fleet.plan.membership import names_used_twice

_LISTED = 5


def findings(
    desired: DesiredFleet, observed: ObservedFleet, now: datetime, stale_after: timedelta, named: Collection[int] = ()
) -> list[Finding]:
    """Return all findings, ordered by kind; `now` and the agents' times are in UTC.

    Args:
        named: ids of agents that the inventory lacks but a trust policy names: nobody need be told of them.
    """
    by_address = observed.by_address()
    pairs = [(wanted, by_address[wanted.address]) for wanted in desired.agents if wanted.address in by_address]
    return [
        *_never_seen(desired, observed),
        *(finding for wanted, agent in pairs for finding in _stale(wanted.label, agent, now, stale_after)),
        *(finding for wanted, agent in pairs for finding in _disabled(wanted, agent, observed, now)),
        *(finding for wanted, agent in pairs for finding in _contradictions(wanted, agent)),
        *(finding for wanted, agent in pairs for finding in host_findings.disk(wanted, agent)),
        *host_findings.clocks(pairs, observed.clock_ahead),
        *host_findings.versions(pairs),
        *_address_conflicts(desired, observed),
        *_peer_changes(desired, observed),
        *_unknown(desired, observed, named),
        *_group_findings(observed),
        *_not_read(desired),
        *(Finding("no_updates", one.host, one.message, one.hint) for one in desired.unchecked_updates),
    ]


def _never_seen(desired: DesiredFleet, observed: ObservedFleet) -> Iterator[Finding]:
    by_address = observed.by_address()
    missing = [wanted for wanted in desired.agents if wanted.address not in by_address]
    for wanted, message, hint in why_missing(missing, desired, observed):
        yield Finding("never_seen", wanted.label, message, hint)


def why_missing(
    missing: Iterable[DesiredAgent], desired: DesiredFleet, observed: ObservedFleet
) -> Iterator[tuple[DesiredAgent, str, str]]:
    """Say why the server may not know these agents, from what it does know: each with a message and a hint."""
    # The server keeps both the address that an agent claims and the one that its connection came from. So an agent that
    # claims a wrong address is found by where it connects from.
    asked = {agent.address for agent in desired.agents}
    by_source: dict[str, list[str]] = defaultdict(list)
    for agent in observed.agents:
        by_source[agent.ip_address or ""].append(agent.address)
    for wanted in missing:
        yield wanted, *_why(wanted, sorted(by_source.get(wanted.address, ())), asked)


def _why(wanted: DesiredAgent, claimed: list[str], asked: Collection[str]) -> tuple[str, str]:
    unexpected = _listed([address for address in claimed if address not in asked])
    if unexpected:
        return (
            f"an agent connects from {wanted.address} but claims {unexpected}",
            f"Set kraken_agent_address of {wanted.host} to {unexpected}, or KRAKEN_AGENT_ADDRESS in its kraken.env",
        )
    if claimed:
        claims = _listed(claimed)
        message = (
            f"an agent connects from {wanted.address} but claims {claims}, the address of another host of the inventory"
        )
        return message, "Give each agent its own address"
    return (
        f"no agent has ever claimed {wanted.address}",
        f"Look on {wanted.host}: does the service run, and does it reach the server from that address?",
    )


def _stale(label: str, agent: Agent, now: datetime, stale_after: timedelta) -> Iterator[Finding]:
    if agent.last_seen is None or now - agent.last_seen <= stale_after:
        return
    message = f"{agent.address} was last seen {ago(agent.last_seen, now)}"
    if agent.host_info and agent.host_info.no_jobs:
        # Kraken's own server would give it jobs as soon as it heard of it. What is wrong is another finding.
        hint = "It has said that it takes no jobs: see the finding takes_no_jobs"
        yield Finding("stale", label, message, hint, "info")
        return
    yield Finding("stale", label, message, f"Look on {label}: does the service run?")


def _disabled(wanted: DesiredAgent, agent: Agent, observed: ObservedFleet, now: datetime) -> Iterator[Finding]:
    """Find agents that somebody has disabled without the inventory saying so: a drain that was forgotten."""
    if not (agent.authorized and agent.disabled):
        return
    why = agent.disabling
    if why and why.until and wanted.enabled is not False:
        # Somebody has set a time for this, so it is not forgotten: no more than a note.
        if not why.is_over(now):  # else the plan enables it
            hint = f"It gets jobs again then; sooner with `kraken-fleet agents enable {agent.address}`"
            yield Finding("disabled", wanted.label, f"{agent.address} is disabled {why.said}", hint, "info")
        return
    if wanted.enabled is not None:
        return
    if observed.left_by_upgrade(agent):
        message = f"{agent.address} is disabled: an upgrade that was broken off has left it so"
        hint = "Run the upgrade or a deploy again, or `kraken-fleet agents enable` when the agent works"
        yield Finding("upgrade_broken_off", wanted.label, message, hint)
        return
    doing = f"it ends job {agent.job.id} and" if agent.job else "it"
    hint = (
        f"Run `kraken-fleet agents enable {agent.address}`, or set kraken_agent_enabled to false in the inventory if "
        "it is to stay disabled"
    )
    said = f" {why.said};" if why else ":"
    yield Finding("disabled", wanted.label, f"{agent.address} is disabled{said} {doing} gets no jobs", hint)


def _contradictions(wanted: DesiredAgent, agent: Agent) -> Iterator[Finding]:
    info = agent.host_info
    if info is None:
        return
    if wanted.system and info.system and wanted.system != info.system:
        message = f"the inventory says {wanted.system}, the agent reports {info.system}"
        yield Finding("system_mismatch", wanted.label, message, "Correct kraken_agent_system, or the host")
    missing = wanted.executors - info.executors.keys()
    if missing:
        message = f"the agent does not report the executor {', '.join(sorted(missing))}"
        reasons = [f"{name}: {info.not_offered[name]}" for name in sorted(missing) if name in info.not_offered]
        message += f" ({'; '.join(reasons)})" if reasons else ""
        hint = "Install it on the host, and let the agent's account use it; the agent looks again within five minutes"
        yield Finding("executor_missing", wanted.label, message, hint)


def _peer_changes(desired: DesiredFleet, observed: ObservedFleet) -> Iterator[Finding]:
    """Find agents whose peer has changed: the host has moved, or somebody else claims its address."""
    hosts = desired.by_address()
    for agent in observed.agents:
        ours = hosts.get(agent.address)
        if not agent.authorized or not (ours or desired.complete):
            continue
        label = ours.label if ours else agent.address
        refused, before = agent.extra_attrs.get("refused_peer"), observed.earlier_peers.get(agent.address)
        if isinstance(refused, str) and refused:
            message = f"{agent.address} connects from {agent.ip_address}, and somebody else claims it from {refused}"
            hint = "The server refuses that. If the host has moved, authorize its agent again; else find out who it is"
            yield Finding("peer_changed", label, message, hint)
        elif before and agent.ip_address and agent.ip_address != before:
            message = f"{agent.address} connected from {before}, and connects from {agent.ip_address} now"
            hint = (
                "If the host has moved, run `kraken-fleet plan` with --accept-peers. Otherwise somebody else claims "
                "its address: take its authorization away, and find out who that is"
            )
            yield Finding("peer_changed", label, message, hint)


def _address_conflicts(desired: DesiredFleet, observed: ObservedFleet) -> Iterator[Finding]:
    hosts = desired.by_address()
    sharing: dict[str, list[Agent]] = defaultdict(list)
    for agent in observed.agents:
        if not agent.ip_address:
            continue
        sharing[agent.ip_address].append(agent)
        claimed, source = hosts.get(agent.address), hosts.get(agent.ip_address)
        if claimed and source and claimed.host != source.host:
            message = f"{source.host} claims {agent.address}, the address of {claimed.host}"
            hint = "The server takes both for one agent; correct KRAKEN_AGENT_ADDRESS on one of them"
            yield Finding("two_hosts_one_address", claimed.label, message, hint, "error")
    for source_ip, agents in sorted(sharing.items()):
        yield from _one_source(source_ip, agents, hosts)


def _one_source(source_ip: str, agents: Iterable[Agent], hosts: Mapping[str, DesiredAgent]) -> Iterator[Finding]:
    claims = sorted(agent.address for agent in agents)
    known = {hosts[address].host for address in claims if address in hosts}
    if not known or (len(known) == 1 and all(address in hosts for address in claims)):
        if len(known) == 1 and len(claims) == 1 and claims != [source_ip] and source_ip not in hosts:
            message = f"claims {claims[0]} but connects from {source_ip}"
            hint = "Behind NAT this is normal. Otherwise set kraken_agent_address to the address that it connects from"
            yield Finding("address_mismatch", known.pop(), message, hint, "info")
        return  # none of ours, or several agents of one host, as the inventory wants
    # One agent claims the very address that all connect from: they are on that host or behind it, and not behind a NAT.
    if source_ip in claims and len(known) == 1:
        others = _listed([address for address in claims if address not in hosts])
        message = f"also claims {others}: one host with two addresses, or an agent behind it"
        yield Finding("one_host_two_addresses", known.pop(), message, "Delete the record that is not used any more")
        return
    message = f"the agents {_listed([_called(claim, hosts) for claim in claims])} all connect from {source_ip}"
    hint = "They are behind one NAT: each needs an address of its own in kraken_agent_address"
    yield Finding("nat", source_ip, message, hint, "info")


def _called(address: str, hosts: Mapping[str, DesiredAgent]) -> str:
    """Return how people call an agent: by its host, too, when the inventory has it."""
    host = hosts.get(address)
    return f"{host.label} ({address})" if host and host.label != address else address


def _unknown(desired: DesiredFleet, observed: ObservedFleet, named: Collection[int]) -> Iterator[Finding]:
    if not desired.complete:
        return
    asked = desired.by_address()
    for agent in observed.agents:
        if agent.address not in asked and agent.authorized and agent.id not in named:
            message = "the server has this agent and the inventory has not"
            yield Finding("unknown_agent", agent.address, message, "Add its host, or prune it", "info")


def _group_findings(observed: ObservedFleet) -> Iterator[Finding]:
    for name in names_used_twice(observed):
        message = f"the name {name} is used twice, so every run that names it fails"
        yield Finding("name_used_twice", name, message, "Rename all but one of them", "error")
    if ALL_GROUP not in observed.group_ids():
        message = f"the server's own group {ALL_GROUP} is deleted"
        hint = f"Never create another {ALL_GROUP}; take `deleted` off the old one in the server's database"
        yield Finding("all_group_missing", ALL_GROUP, message, hint, "error")


def _not_read(desired: DesiredFleet) -> Iterator[Finding]:
    for file in desired.unread_files:
        message = f"it sets {_listed(file.variables)}, and neither a deploy nor this plan reads it"
        hint = (
            "Move it beside the inventory; or, when the play itself is in a playbook of yours beside it, name that "
            "playbook's directory with --playbook-dir"
        )
        yield Finding("variables_not_read", file.path, message, hint)


def _listed(addresses: Sequence[str]) -> str:
    """Return the first few of them; a thousand agents may share a NAT."""
    more = f" and {len(addresses) - _LISTED} more" if len(addresses) > _LISTED else ""
    return ", ".join(addresses[:_LISTED]) + more
