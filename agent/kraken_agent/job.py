"""Runs one job: its steps one after the other until the server has no more; and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import time

from kraken_agent import child, family, leftovers, outcome, protocol
from kraken_agent.executors.base import ExecutorError, JobPlace
from kraken_agent.executors.registry import executor_for
from kraken_agent.job_context import JobContext
from kraken_agent.process import GRACE_SECONDS, Process, reap
from kraken_agent.state_files import installation_id, own_directory
from kraken_agent.steps import KEEP_ALIVE_SECONDS, JobOverError, StepRun
from kraken_agent.time_limit import TimeLimit
from kraken_agent.tools.masking import Masker, secrets_of
from kraken_agent.tools.processes import descendants
from kraken_agent.transport import InterruptedExchangeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Mapping, Optional, Set

    from kraken_agent.config import Config
    from kraken_agent.executors.base import Executor, Send
    from kraken_agent.logs import Log
    from kraken_agent.reactor import Reactor
    from kraken_agent.session import Session

    Message = Dict[str, Any]

# A job for which the server names no time.
_USUAL_SECONDS = 3600.0
# Beyond its deadline a job gets so long to tell the server how its steps ended.
_LAST_WORDS_SECONDS = 300.0
_SETUP_SECONDS = 120.0
_KILL_SECONDS = 20.0


class JobRun:
    """One job.

    Args:
        job: what the server answered to get-job.
        agent_id: the agent's number at the server, for the log; None when it is not known.
        should_stop: true when the agent is to end the job now.
    """

    def __init__(
        self,
        reactor: Reactor,
        session: Session,
        log: Log,
        config: Config,
        job: Message,
        agent_id: Optional[int],
        should_stop: Callable[[], bool],
    ) -> None:
        self._reactor = reactor
        self._session = session
        self._log = log
        self._config = config
        self._job = job
        self._agent_id = agent_id
        self._should_stop = should_stop
        self._seconds = protocol.seconds_of(job.get("timeout"), _USUAL_SECONDS)
        self._deadline = time.monotonic() + self._seconds
        self._context: Optional[JobContext] = None

    def run(self) -> None:
        """Run the job to its end. Whatever goes wrong is reported to the server, and not raised."""
        job = self._job
        self._log.set_context(
            branch=job.get("branch_id"),
            flow_kind=job.get("flow_kind"),
            flow=job.get("flow_id"),
            run=job.get("run_id"),
            job=job.get("id"),
            agent=self._agent_id,
        )
        self._log.info(f"job {job.get('id')} begins, {self._seconds:g} s are left for it")
        try:
            self._run_or_give_up()
        except JobOverError as error:
            self._log.info(f"job {job.get('id')}: {error}")
        self._log.info(f"job {job.get('id')} is over")
        self._log.set_context(agent=self._agent_id)

    def _run_or_give_up(self) -> None:
        try:
            self._run_on(self._executor())
        except (JobOverError, InterruptedExchangeError):
            raise
        except (ExecutorError, OSError) as error:
            reason = error.reason if isinstance(error, ExecutorError) else "exception"
            self._give_up(outcome.error(reason, str(error)))
        except Exception:  # noqa: BLE001 - a job that the agent cannot cope with must not keep it from the next one
            import traceback

            self._give_up(outcome.error("exception", traceback.format_exc()))

    def _executor(self) -> Executor:
        directory = os.path.join(self._config.data_dir, "jobs", str(int(self._job["id"])))
        own_directory(os.path.dirname(directory), 0o711, self._log.warning)
        own_directory(directory, 0o700, self._log.warning)
        name = str(self._job.get("executor") or "local")
        address = str(self._session.address or "")
        data_dir = self._config.data_dir
        installation = installation_id(data_dir, self._log.warning)
        return executor_for(name, JobPlace(self._job, directory, data_dir, address, self._seconds, installation))

    def _run_on(self, executor: Executor) -> None:
        self._context = context = JobContext(
            reactor=self._reactor,
            session=self._session,
            log=self._log,
            executor=executor,
            masker=self._masker,
            should_stop=self._should_stop,
            deadline=self._deadline,
            tools_dirs=[os.getcwd(), *self._config.tools_dirs],
            processes=[],
        )
        try:
            if executor.has_setup:
                leftovers.expect_container(self._config.data_dir, executor.name)
                self._prepare(executor)
            while True:
                step = self._next_step()
                if not step:
                    break
                if self._should_stop():
                    # The drain ended while nothing ran: the agent that is started next goes on with this step.
                    raise InterruptedExchangeError
                StepRun(context, step).run()
        finally:
            self._clean_up(executor)

    def _masker(self, step: Mapping[str, Any]) -> Masker:
        return Masker([*secrets_of(self._job), *secrets_of(step)])

    def _next_step(self) -> Message:
        """Return the step that the server wants next; empty when there is none, and the server has ended the job."""
        self._drain_log()
        limit = self._deadline + _LAST_WORDS_SECONDS
        while True:
            answer = self._session.get_step(limit)
            if answer is None:
                raise JobOverError("the server did not answer before the job's time was over")
            if answer.unauthorized:
                raise JobOverError("the server has withdrawn this agent's authorization")
            if answer.step.get("job_id", self._job.get("id")) != self._job.get("id"):
                # The answer that ended this job was lost, and meanwhile the server has given out the next one.
                raise JobOverError("the server has ended the job, and has another one for this agent")
            if answer.is_step_answer:
                return answer.step
            if time.monotonic() >= limit:
                raise JobOverError("the server does not say which step is next")
            self._session.sleep(1.0)

    def _drain_log(self) -> None:
        """Wait until the log has left: who sees the step done wants to see its output too."""
        while not self._log.drain(KEEP_ALIVE_SECONDS):
            if self._should_stop() or time.monotonic() >= self._deadline:
                return
            answer = self._session.keep_alive(int(self._job["id"]))
            if answer is not None and answer.cancel:
                raise JobOverError("the server has cancelled the job")

    def _prepare(self, executor: Executor) -> None:
        """Get the executor ready in a child.

        Raises:
            ExecutorError: it cannot be made ready.
        """
        failure: Message = {}

        def on_message(message: Message) -> None:
            executor.state.update(message.get(child.STATE) or {})
            failure.update(message.get(child.FAILURE) or {})

        process = self._start_setup(child.prepare(executor), executor.name)
        process.on_message = on_message
        reason = self._wait_for_setup(process)
        if reason:
            raise ExecutorError(str(outcome.stopped(reason)["msg"]), str(outcome.stopped(reason)["reason"]))
        if failure or process.code:
            text = f"executor {executor.name} could not be made ready: its process ended with code {process.code}"
            raise ExecutorError(str(failure.get("msg") or text), str(failure.get("reason") or "exception"))

    def _start_setup(self, main: Callable[[Send], int], name: str) -> Process:
        assert self._context is not None  # noqa: S101 - set by the only caller's caller
        return self._context.start(main, self._job, tool=name)

    def _wait_for_setup(self, process: Process) -> str:
        """Turn the loop until a child of the executor has ended; return why it was stopped, if it was."""
        limit = TimeLimit(self._reactor, process, self._deadline, self._deadline, self._should_stop)
        try:
            while not process.has_ended:
                if not self._reactor.run_until(lambda: process.has_ended, time.monotonic() + KEEP_ALIVE_SECONDS):
                    self._keep_alive(process)
        finally:
            limit.close()
        return limit.reason

    def _keep_alive(self, process: Process) -> None:
        answer = self._session.keep_alive(int(self._job["id"]))
        if answer is not None and answer.cancel:
            process.stop()
            self._reactor.run_until(lambda: process.has_ended)
            raise JobOverError("the server has cancelled the job")

    def _give_up(self, result: Message) -> None:
        """Report on each step that the server wants that the job cannot go on, until the server ends the job."""
        masked = {**self._masker({}).mask_message(result), "duration": 1}
        self._log.error(f"job {self._job.get('id')} cannot run: {masked['msg']}")
        told: Set[int] = set()
        while True:
            index = int(self._next_step().get("index", -1))
            if index < 0 or index in told:
                return
            told.add(index)
            self._session.report(int(self._job["id"]), index, masked)
            self._session.deliver(self._deadline + _LAST_WORDS_SECONDS)

    def _clean_up(self, executor: Executor) -> None:
        """End what the job left running: background steps, daemons, the executor's own."""
        assert self._context is not None  # noqa: S101 - set by the only caller
        for process in self._context.processes:
            process.stop()
        try:
            if executor.has_setup:
                self._remove_setup(executor)
        finally:
            end_descendants(self._reactor, self._log)
            for process in self._context.processes:
                process.close()

    def _remove_setup(self, executor: Executor) -> None:
        """Remove what the executor has made. When that fails, the mark stays, and `leftovers.Sweeps` tries it again."""
        try:
            process = self._start_setup(child.cleanup(executor), executor.name)
        except OSError as error:
            failure = f"no process can be started: {error}"
        else:
            if self._reactor.run_until(lambda: process.has_ended, time.monotonic() + _SETUP_SECONDS):
                failure = f"the process for it ended with code {process.code}" if process.code else ""
            else:
                process.stop()
                failure = f"it took longer than {_SETUP_SECONDS:g} s"
        if failure:
            self._log.warning(
                f"the container of job {self._job.get('id')} may be left ({failure}); looking for it again later"
            )
        else:
            leftovers.expect_no_container(self._config.data_dir)


def end_descendants(reactor: Reactor, log: Log) -> None:
    """End every process below the agent: with SIGTERM, and after the grace with SIGKILL until none is left."""
    own = os.getpid()
    left = descendants(own)
    for pid in left:
        family.signal_one(pid, signal.SIGTERM)
    end = time.monotonic() + GRACE_SECONDS
    while left and time.monotonic() < end:
        reactor.turn(time.monotonic() + 0.05)
        left = descendants(own)
    if left:
        for pid in left:
            family.signal_one(pid, signal.SIGKILL)
        stubborn = family.kill_children(reap, _KILL_SECONDS)
        if stubborn:
            log.warning(
                f"{stubborn} processes of the job cannot be ended: they are another user's, or wait for a device"
            )
