"""Proof that agents work: a real job on each agents group, and a line of its log read back."""

from __future__ import annotations

import contextlib
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import ServerError, ServerFaultError, VerificationError
from kraken_fleet.model import Job, JobState, LogLine, Run, RunState, StepStatus
from kraken_fleet.proof.branch import own_branch
from kraken_fleet.proof.stage import mark, prepare_stage
from kraken_fleet.reconcile.clock import Clock, SystemClock

# Log lines travel to the server by UDP and a database that writes in batches: they may come after the job's end.
LOG_PATIENCE = 20.0
# Another verification may have changed the branch's stage between our write and the start of our flow.
_ATTEMPTS = 3
# The real server answers the start of a flow before its queue has made the jobs of the run.
_JOBS_PATIENCE = 5.0
_RUN_OVER = (RunState.COMPLETED, RunState.PROCESSED)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 1.0
_NO_AGENTS = 10  # JOB_CMPLT_NO_AGENTS in kraken/server/consts.py, 1.7.36


@dataclass(frozen=True, slots=True)
class GroupProof:
    """What became of the job on one agents group.

    Args:
        group: the group's name.
        agent: the agent that ran the job, if one did.
        seconds: from the start of the run until this was known.
        log_line: the line that was printed by the agent and read back from the server.
        failure: what went wrong; None for a proof.
        hint: what to do about it.
        left_out: why nothing is known, which is no failure; empty otherwise.
    """

    group: str
    job_id: int | None = None
    agent: str | None = None
    seconds: float = 0.0
    log_line: str | None = None
    failure: str | None = None
    hint: str | None = None
    left_out: str = ""

    @property
    def proven(self) -> bool:
        return self.failure is None and not self.left_out

    @property
    def error(self) -> VerificationError | None:
        if self.failure is None:
            return None
        return VerificationError(self.failure, where=f"agents group {self.group}", hint=self.hint)


def verify_groups(
    client: KrakenClient,
    groups: Iterable[str],
    *,
    timeout: float = 120.0,
    clock: Clock | None = None,
    marker: str | None = None,
) -> Iterator[GroupProof]:
    """Run one job on each group, all in one run, and yield what became of each as soon as it is known.

    A group that fails does not end the iteration: its GroupProof says why. A run that is left early is cancelled.

    Args:
        groups: names of agents groups; one that is named twice is verified once.
        timeout: seconds from the start until a job that is not over counts as failed. For its log line another
            LOG_PATIENCE seconds are allowed.
        clock: time; default the machine's own.
        marker: what the jobs print; default a random word.

    Raises:
        VerificationError: the run could not be started at all.
        ServerError: see kraken_fleet.errors.
    """
    clock = clock or SystemClock()
    alive = Counter(group.name for group in client.groups())
    wanted = list(dict.fromkeys(groups))
    yield from (_unusable(group, alive[group]) for group in wanted if alive[group] != 1)
    usable = [group for group in wanted if alive[group] == 1]
    if usable:
        word = marker or secrets.token_hex(8)
        with own_branch() as branch:
            run = _start(client, branch, usable, word, clock)
            yield from _Proving(client, run, usable, mark(word), timeout, clock).results()


def require_proofs(proofs: Iterable[GroupProof]) -> tuple[GroupProof, ...]:
    """Return the proofs, all of them successful.

    Raises:
        VerificationError: at least one group failed; the message has each with its reason.
    """
    all_of_them = tuple(proofs)
    failed = [proof for proof in all_of_them if not proof.proven]
    if failed:
        reasons = "; ".join(f"{proof.group}: {proof.failure}" for proof in failed)
        raise VerificationError(
            f"{len(failed)} of {len(all_of_them)} agents groups ran no job to its end ({reasons})", hint=failed[0].hint
        )
    return all_of_them


def _unusable(group: str, count: int) -> GroupProof:
    if count:
        return GroupProof(group, failure=f"{count} agents groups have this name", hint="Rename all of them but one")
    return GroupProof(group, failure="there is no such agents group", hint="Create it, or register its agents first")


def _start(client: KrakenClient, branch: str, groups: Sequence[str], marker: str, clock: Clock) -> Run:
    """Start a run with our jobs.

    A run made from the stage of somebody else, who has the same branch, is given up.
    """
    note = None
    for _ in range(_ATTEMPTS):
        branch_id, stage_id = prepare_stage(client, groups, marker, branch)
        flow = client.start_flow(branch_id)
        runs = [run for run in flow.runs or client.flow_runs(flow.id) if run.stage_id == stage_id]
        if not runs:
            continue
        jobs = _first_jobs(client, runs[0].id, clock)
        if _are_ours(jobs, groups, marker):
            return runs[0]
        note = client.run(runs[0].id).note
        client.cancel_run(runs[0].id)
        # What SQLAlchemy says when two groups have the name, which the server writes into the run's note (seen on
        # 1.7.36). A deleted group still counts there.
        if note and "Multiple rows" in note:
            for group in groups:
                client.heal_group_name(group)
    raise VerificationError(
        f"The server made no jobs for {', '.join(groups)} ({note or 'and gives no reason'})",
        where=client.url,
        hint="If somebody else verifies at the same time, try again; else the server's own log says why",
    )


def _first_jobs(client: KrakenClient, run_id: int, clock: Clock) -> Sequence[Job]:
    """Return the jobs of a run that has just begun; none when it ended without any or has none after a while."""
    give_up = clock.now() + _JOBS_PATIENCE
    while not (jobs := client.run_jobs(run_id)) and clock.now() < give_up:
        if client.run(run_id).state in _RUN_OVER:
            break
        clock.sleep(_FIRST_PAUSE)
    return jobs


def _are_ours(jobs: Sequence[Job], groups: Sequence[str], marker: str) -> bool:
    """Say whether these are the jobs of our stage; jobs that failed before they began have no steps to tell by."""
    mine = [job for job in jobs if all(marker in step.name for step in job.steps)]
    return set(groups) <= {job.name for job in mine}


class _Proving:
    """Follows the jobs of one run until each group has its proof or its failure."""

    def __init__(
        self, client: KrakenClient, run: Run, groups: Sequence[str], line: str, timeout: float, clock: Clock
    ) -> None:
        self._client, self._run, self._line, self._clock = client, run, line, clock
        self._started = clock.now()
        self._deadline = self._started + timeout
        self._timeout = timeout
        self._pending = list(groups)
        self._over_since: dict[int, float] = {}
        self._left_running = False  # a job was given up that the server may still run

    def results(self) -> Iterator[GroupProof]:
        pause = _FIRST_PAUSE
        try:
            while self._pending:
                for proof in self._look():
                    self._pending.remove(proof.group)
                    yield proof
                if self._pending:
                    self._clock.sleep(pause)
                    pause = min(pause * 1.3, _LONGEST_PAUSE)
        finally:
            if self._pending or self._left_running:
                with contextlib.suppress(ServerError):
                    self._client.cancel_run(self._run.id)

    def _look(self) -> Iterator[GroupProof]:
        late = self._clock.now() >= self._deadline
        jobs = {job.name: job for job in self._client.run_jobs(self._run.id)}
        for group in tuple(self._pending):
            job = jobs.get(group)
            proof = None
            if job and job.over:
                proof = self._of_ended(group, job)
            elif late:
                proof = self._of_late(group, job)
            if proof:
                yield proof

    def _of_ended(self, group: str, job: Job) -> GroupProof | None:
        """Return the proof of a job that is over; None while its log may still come."""
        over_since = self._over_since.setdefault(job.id, self._clock.now())
        if not job.succeeded:
            return self._failed(group, job, _why_failed(job, self._log(job)), _hint(job))
        for line in self._log(job):
            if _is_output(line, self._line):
                found = line.message.strip()
                return GroupProof(group, job.id, job.agent_name, self._seconds(), log_line=found)
        if self._clock.now() - over_since < LOG_PATIENCE:
            return None
        why = f"the job succeeded on {job.agent_name}, but its log has not come after {LOG_PATIENCE:g} s"
        hint = "Check that the host reaches the server's `clickhouse_addr` by UDP"
        return self._failed(group, job, why, hint)

    def _of_late(self, group: str, job: Job | None) -> GroupProof:
        self._left_running = True
        if job and job.state == JobState.ASSIGNED:
            why = f"the job still runs on {job.agent_name} after {self._timeout:g} s"
            return self._failed(group, job, why, "Look at the agent's own log")
        why = f"no agent has taken the job in {self._timeout:g} s"
        return self._failed(group, job, why, "Check that the group's agents run, poll the server and are not busy")

    def _failed(self, group: str, job: Job | None, why: str, hint: str) -> GroupProof:
        agent, job_id = (job.agent_name, job.id) if job else (None, None)
        return GroupProof(group, job_id, agent, self._seconds(), failure=why, hint=hint)

    def _seconds(self) -> float:
        return round(self._clock.now() - self._started, 3)

    def _log(self, job: Job) -> tuple[LogLine, ...]:
        """Return what the job printed.

        Nothing when it has no steps, or when the server cannot read its log store now.
        """
        if not job.steps:
            return ()
        try:
            return self._client.job_log(job.id)
        except ServerFaultError:
            return ()


def _is_output(line: LogLine, expected: str) -> bool:
    """Say whether this is what the command printed, and not the agent saying which command it runs."""
    return line.message.rstrip().endswith(expected) and "echo " not in line.message


def _why_failed(job: Job, log: Sequence[LogLine]) -> str:
    if job.notes:
        return job.notes
    failed = [step for step in job.steps if step.status == StepStatus.ERROR]
    what = f"step {failed[0].index + 1} failed" if failed else f"the job ended with status {job.completion_status}"
    last = f"; its last log line: {log[-1].message.strip()}" if log else ""
    return f"{what} on {job.agent_name or 'no agent'}{last}"


def _hint(job: Job) -> str:
    if job.completion_status == _NO_AGENTS:
        return "Put an authorized, enabled agent into the group"
    return "Look at the agent's own log"
