"""What must be true when a run has come to rest, and its figures."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.soaking.hosts import GROUP
from bench.soaking.server import Cost
from bench.soaking.world import SIMULATED, World
from kraken_fleet.model import JobState

if TYPE_CHECKING:
    from bench.soak import Record

# Of the server's last process, which lives for the last two fifths of the time: once it is so old, and a playbook has
# signed in, it must not grow. The first check of a password takes 16 MiB, which the server keeps for the next one. In a
# run that is too short for that its memory says nothing.
_WARM_SECONDS = 120.0
# An agent that was just started has not yet loaded what it needs.
_AGENT_WARM_SECONDS = 10.0
_MEGABYTES = 25.0
_AGENT_MEGABYTES = 8.0
_DESCRIPTORS = 12
# A program that cannot reach the server when it ends cannot sign out.
_SESSIONS = 20
_SHOWN = 5
_ENDED = "select completion_status from jobs where name like 'soak-%' and state = ?"


def problems_of(world: World, record: Record) -> list[str]:
    """What is wrong, each as a sentence; nothing when all is well."""
    return [*_jobs(world, record), *_left(world, record), *_grown(record)]


def figures_of(world: World, record: Record) -> dict[str, object]:
    """The figures, for people and for docs/benchmarks.md."""
    kinds = Counter(str(fault.kind) for fault in record.faults)
    ended = world.server.rows(_ENDED, JobState.COMPLETED.value)
    agents = [ones for ones in map(_warm_agent, record.agents.values()) if ones]
    return {
        "faults": len(record.faults),
        **{f"  {kind}": count for kind, count in sorted(kinds.items())},
        "flows started": record.flows,
        "flows that the server did not take": record.refused_flows,
        "jobs that ended": len(ended),
        "jobs that ended well": sum(row[0] == 0 for row in ended),
        "steps that ran": sum(world.ledger.ended.values()),
        "steps that began again after a kill": sum(count > 1 for count in world.ledger.began.values()),
        "messages of simulated agents without answer": sum(agent.trouble for agent in world.agents),
        "deploys and upgrades": len(world.hosts.deploys),
        "  that failed meanwhile": sum(bool(code) for _, code in world.hosts.deploys),
        "server, MB of memory when it was warm, at the end": ", ".join(
            f"{one.megabytes:.0f}" for one in _warm(record.server)
        )
        or "-",
        "server, descriptors at rest before, after": _descriptors(record),
        "agents, MB of memory, median first and last": "{:.1f}, {:.1f}".format(
            *(statistics.median(pair[index].megabytes for pair in agents) for index in (0, 1))
        )
        if agents
        else "-",
        "server, longest start, s": round(world.server.longest_start, 1),
        "sessions of the server": world.server.rows("select count(*) from sessions where deleted is null")[0][0],
        "database, MB": round((world.server.data / "server.sqlite").stat().st_size / 1e6, 1),
    }


def _jobs(world: World, record: Record) -> Iterator[str]:
    if record.unfinished:
        yield f"lost: {record.unfinished} jobs did not come to their end"
    failed = world.server.rows(
        "select j.id, j.completion_status, j.notes, a.address, group_concat(s.result) from jobs j"
        " left join agents a on a.id = j.agent_id left join steps s on s.job_id = j.id"
        " where j.name like 'soak-%' and j.state = ? and j.completion_status != 0 group by j.id",
        JobState.COMPLETED.value,
    )
    if failed:
        yield f"lost: {len(failed)} jobs failed, for example {failed[:_SHOWN]}"
    done = world.server.rows(
        'select s.job_id, s."index" from steps s join jobs j on j.id = s.job_id'
        " where j.name like 'soak-%' and j.state = ? and j.completion_status = 0",
        JobState.COMPLETED.value,
    )
    never = world.ledger.never((int(str(job)), int(str(number))) for job, number in done)
    if never:
        yield f"lost: {len(never)} steps count as done and never ran, for example {never[:_SHOWN]}"
    twice = [step for step in world.ledger.twice() if step not in world.ledger.killed]
    if twice:
        yield f"twice: {len(twice)} steps ran more than once, for example {twice[:_SHOWN]}"
    again = [step for step, count in world.ledger.began.items() if count > 1 and step not in world.ledger.killed]
    if again:
        yield f"twice: {len(again)} steps began more than once without a kill, for example {sorted(again)[:_SHOWN]}"


def _left(world: World, record: Record) -> Iterator[str]:
    yield from (f"left: {one}" for one in record.files)
    names = [str(row[0]) for row in world.server.rows("select name from agents_groups where deleted is null")]
    strange = [name for name in names if name not in {"all", SIMULATED, GROUP}]
    if strange:
        yield f"left: agents groups {strange}"
    disabled = world.server.rows("select address from agents where disabled and deleted is null")
    if disabled:
        yield f"left: disabled agents {disabled[:_SHOWN]}"
    codes = record.last_deploys
    if len(codes) != 2 or codes[0][0] or codes[1] != (0, 0):
        yield f"the last two deploys (exit code, changes) were {codes}, and the second must be (0, 0)"
    spare = [path.name for path in world.server.data.iterdir() if path.name not in world.files_before]
    if spare:
        yield f"left: files in the server's data directory: {spare}"
    sessions = int(str(world.server.rows("select count(*) from sessions where deleted is null")[0][0]))
    if sessions > _SESSIONS:
        yield f"left: {sessions} sessions on the server"


def _grown(record: Record) -> Iterator[str]:
    warm = [one.megabytes for one in _warm(record.server)]
    if warm and warm[-1] > warm[0] + _MEGABYTES:
        yield f"grown: the server's memory, from {warm[0]:.0f} to {warm[-1]:.0f} MB"
    for name, costs in record.agents.items():
        ones = _warm_agent(costs)
        if ones and ones[-1].megabytes > ones[0].megabytes + _AGENT_MEGABYTES:
            yield f"grown: the memory of {name}, from {ones[0].megabytes:.0f} to {ones[-1].megabytes:.0f} MB"
    if record.quiet and record.quiet_again:
        more = record.quiet_again.descriptors - record.quiet.descriptors
        if more > _DESCRIPTORS:
            yield f"grown: the server's descriptors at rest: {_descriptors(record)}"


def _warm(costs: Sequence[Cost], seconds: float = _WARM_SECONDS) -> list[Cost]:
    """The first sample of the last process once it is warm, and the last; nothing when it is too young."""
    ones = _of_last_process(costs)
    warm = [one for one in ones if one.at >= ones[0].at + seconds]
    return [warm[0], warm[-1]] if len(warm) > 1 else []


def _warm_agent(costs: Sequence[Cost]) -> list[Cost]:
    return _warm(costs, _AGENT_WARM_SECONDS)


def _of_last_process(costs: Sequence[Cost]) -> list[Cost]:
    return [one for one in costs if one.pid == costs[-1].pid]


def _descriptors(record: Record) -> str:
    return ", ".join(str(one.descriptors) for one in (record.quiet, record.quiet_again) if one)
