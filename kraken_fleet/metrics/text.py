"""A reading as metrics. Their names and labels are in docs/metrics.md.

Labels have bounded numbers of values: at most MOST_GROUPS groups and MOST_VALUES systems and versions, those of most
agents, and MOST_AGENTS agents, those that have been silent for longest. What is beyond them counts as `other`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kraken_fleet.listen import ServerHealth
from kraken_fleet.metrics.deploys import deploy_families
from kraken_fleet.metrics.embedded import health_families
from kraken_fleet.metrics.families import PREFIX, counted
from kraken_fleet.model import Activity, Agent, Deploy, Job, activity_of
from kraken_fleet.reconcile import Reading

__all__ = ["CONTENT_TYPE", "MOST_AGENTS", "MOST_GROUPS", "MOST_VALUES", "failed_text", "text"]

# Prometheus keeps a series for each value of a label, and agents and jobs bring values of their own.
MOST_GROUPS = 200
MOST_VALUES = 100
MOST_AGENTS = 500
OTHER = "other"
_UNKNOWN = "unknown"


def text(
    reading: Reading, seconds: float = 0.0, deploys: Sequence[Deploy] = (), health: ServerHealth | None = None
) -> bytes:
    """Return a reading as Prometheus reads it.

    Args:
        seconds: how long it took to read.
        deploys: past playbook runs, the newest first.
        health: of the embedded server, when the metrics are its own.
    """
    own = health_families(health) if health else ()
    return _text([*_families(reading, seconds), *deploy_families(deploys), *own])


def failed_text() -> bytes:
    """Return what is to be said when the server could not be read: no number but that."""
    return _text([_up(0)])


def _text(families: Iterable[Metric]) -> bytes:
    found = list(families)

    class Once(Collector):
        def collect(self) -> Iterable[Metric]:
            return found

    # A registry of its own: the default one would add numbers about this process and its Python.
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    return bytes(generate_latest(registry))


def _families(reading: Reading, seconds: float) -> Iterator[Metric]:
    yield _up(1)
    yield GaugeMetricFamily(PREFIX + "read_seconds", "How long it took to read the server.", value=seconds)
    yield from _agents(reading)
    yield from _jobs(reading)
    yield from _last_seen(reading)
    yield from _disks(reading)
    yield from _against_the_inventory(reading)


def _up(value: int) -> Metric:
    return GaugeMetricFamily(PREFIX + "server_up", "1 when the Kraken server could be read, else 0.", value=value)


def _agents(reading: Reading) -> Iterator[Metric]:
    # States without agents too: an alert that compares with 0 sees nothing where a series is missing.
    states = Counter({state.value: 0 for state in Activity})
    states.update(activity_of(agent, reading.now).value for agent in reading.agents)
    yield counted("agents", "Agents by what they are doing.", ("state",), {(one,): n for one, n in states.items()})
    authorized = [agent for agent in reading.agents if agent.authorized]
    names = (name for agent in authorized for name in agent.group_names)
    group = _bounded([*names, *(one.name for one in reading.groups)], MOST_GROUPS)
    in_groups: Counter[tuple[str, ...]] = Counter(
        (name, activity_of(agent, reading.now).value) for agent in authorized for name in _names(agent, group)
    )
    in_groups.update({(group(one.name), Activity.IDLE.value): 0 for one in reading.groups})
    help_text = "Authorized agents of each agents group, by what they are doing."
    yield counted("group_agents", help_text, ("group", "state"), in_groups)
    for label, read in (("system", _system), ("version", _version)):
        bound = _bounded(map(read, authorized), MOST_VALUES)
        counts: Counter[tuple[str, ...]] = Counter((bound(read(agent)),) for agent in authorized)
        yield counted(f"{label}_agents", f"Authorized agents by {label}.", (label,), counts)


def _disks(reading: Reading) -> Iterator[Metric]:
    """Yield what agents say of their disks; Kraken's own agent says nothing, and has no series."""
    said = [(agent, agent.host_info) for agent in reading.agents if agent.authorized and agent.host_info]
    full = sum(bool(info.no_jobs) for _, info in said)
    help_text = "Authorized agents that take no jobs because their disk has too little room."
    yield GaugeMetricFamily(PREFIX + "agents_without_room", help_text, value=full)
    free = GaugeMetricFamily(
        PREFIX + "agent_disk_free_ratio",
        "Free part of the disk with the agent's jobs, as it last said; those with least.",
        labels=("address", "name"),
    )
    used = [(1 - info.resources.disk_used, agent) for agent, info in said if info.resources.disk_used is not None]
    for ratio, agent in sorted(used, key=lambda pair: (pair[0], pair[1].address))[:MOST_AGENTS]:
        free.add_metric([agent.address, reading.names.name(agent)], ratio)
    yield free


def _jobs(reading: Reading) -> Iterator[Metric]:
    everything = (*reading.waiting, *reading.running)
    group = _bounded([*(_group(job) for job in everything), *(one.name for one in reading.groups)], MOST_GROUPS)
    for name, jobs, help_text in (
        ("jobs_waiting", reading.waiting, "Jobs that no agent has taken yet."),
        ("jobs_stranded", reading.stranded, "Jobs whose agents group has no agent that may take jobs."),
        ("jobs_running", reading.running, "Jobs that agents run."),
    ):
        counts: Counter[tuple[str, ...]] = Counter((group(_group(job)),) for job in jobs)
        counts.update({(group(one.name),): 0 for one in reading.groups})
        yield counted(name, help_text, ("group",), counts)
    oldest: dict[tuple[str, ...], float] = defaultdict(float)
    for job in reading.waiting:
        age = (reading.now - job.created).total_seconds() if job.created else 0.0
        oldest[(group(_group(job)),)] = max(oldest[(group(_group(job)),)], age)
    yield counted("jobs_oldest_waiting_seconds", "Age of the job that waits for longest.", ("group",), oldest)
    complete = GaugeMetricFamily(PREFIX + "jobs_complete", "1 when all branches and runs were looked at for jobs.")
    complete.add_metric([], int(reading.complete))
    yield complete


def _last_seen(reading: Reading) -> Iterator[Metric]:
    authorized = [agent for agent in reading.agents if agent.authorized]
    # An agent that the server never saw comes first: nothing is silent for longer.
    silent = sorted(authorized, key=lambda agent: (agent.last_seen is not None, agent.last_seen))
    help_text = "Seconds since the server last saw an authorized agent; those that are silent for longest."
    found = GaugeMetricFamily(PREFIX + "agent_last_seen_seconds", help_text, labels=("address", "name"))
    for agent in silent[:MOST_AGENTS]:
        seen = agent.last_seen or agent.created
        if seen:
            seconds = max((reading.now - seen).total_seconds(), 0.0)
            found.add_metric([agent.address, reading.names.name(agent)], seconds)
    yield found
    left = max(len(silent) - MOST_AGENTS, 0)
    help_text = "Authorized agents without a series of their own in agent_last_seen_seconds."
    yield GaugeMetricFamily(PREFIX + "agents_not_listed", help_text, value=left)


def _against_the_inventory(reading: Reading) -> Iterator[Metric]:
    plan = reading.plan
    if plan is None:
        return
    findings: Counter[tuple[str, ...]] = Counter((one.kind, one.severity) for one in plan.findings)
    yield counted("findings", "Findings of a plan against the inventory.", ("kind", "severity"), findings)
    changes: dict[tuple[str, ...], float] = {(kind,): count for kind, count in plan.summary().items()}
    yield counted("changes", "Changes that would make the server as the inventory says.", ("kind",), changes)
    help_text = "Changes of all kinds: 0 when the server is as the inventory says."
    yield GaugeMetricFamily(PREFIX + "drift", help_text, value=len(plan.actions))


def _bounded(values: Iterable[str], most: int) -> Callable[[str], str]:
    """Return what turns a value into itself when it is among the most frequent ones, else into OTHER."""
    kept = {value for value, _ in sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0]))[:most]}
    return lambda value: value if value in kept else OTHER


def _names(agent: Agent, group: Callable[[str], str]) -> set[str]:
    return {group(name) for name in agent.group_names}


def _group(job: Job) -> str:
    return job.agents_group_name or _UNKNOWN


def _system(agent: Agent) -> str:
    return agent.host_info.system[:100] if agent.host_info and agent.host_info.system else _UNKNOWN


def _version(agent: Agent) -> str:
    return agent.host_info.agent_version if agent.host_info and agent.host_info.agent_version else _UNKNOWN
