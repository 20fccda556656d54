"""Runs one step: starts it on the job's executor, watches it, and reports how it ended."""

from __future__ import annotations

import functools
import time
from collections import deque

from kraken_agent import cgroup, child, outcome, protocol
from kraken_agent.executors.base import ExecutorError, ToolCall
from kraken_agent.process import Process
from kraken_agent.shell_step import branch_environment, shell_command, time_limit
from kraken_agent.tools.catalog import BUILTIN_COMMANDS
from kraken_agent.watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Deque, Dict, List, Mapping, Optional

    from kraken_agent.executors.base import Executor, Send
    from kraken_agent.logs import Log
    from kraken_agent.masking import Masker
    from kraken_agent.reactor import Reactor
    from kraken_agent.session import Session

    Message = Dict[str, Any]

KEEP_ALIVE_SECONDS = 10.0
# That a step runs is told only of one that runs so long: what a quick step costs is its messages. To the server it is
# no more than what it shows (_handle_step_result2 in kraken/server/backend.py, 1.7.36).
_ANNOUNCE_SECONDS = 0.25
_NEVER = float("inf")

_RUN_COMMANDS = ("run_tests", "run_analysis", "run_artifacts", "run_data", "run")


class JobOverError(Exception):
    """The job ends here, and the server knows: it was cancelled, or is not this agent's any more."""


class Surroundings:
    """What all steps of a job share.

    Attributes:
        masker: makes what hides the secrets of the job and of a step in one stream.
        should_stop: true when the agent is to end the job now.
        deadline: when the job's time is over, on the monotonic clock.
        processes: every child of the job; their daemons may write until the job is over.
    """

    __slots__ = (
        "deadline",
        "executor",
        "job_id",
        "log",
        "masker",
        "processes",
        "reactor",
        "session",
        "should_stop",
        "tools_dirs",
    )

    def __init__(
        self,
        reactor: Reactor,
        session: Session,
        log: Log,
        executor: Executor,
        masker: Callable[[Mapping[str, Any]], Masker],
        should_stop: Callable[[], bool],
        deadline: float,
        tools_dirs: List[str],
    ) -> None:
        self.reactor = reactor
        self.session = session
        self.log = log
        self.executor = executor
        self.masker = masker
        self.should_stop = should_stop
        self.deadline = deadline
        self.tools_dirs = tools_dirs
        self.job_id = executor.place.id
        self.processes: List[Process] = []

    def start(self, main: Callable[[Send], int], secrets: Mapping[str, Any], **context: Any) -> Process:
        """Start a child whose output goes to the log, secrets hidden.

        Args:
            main: what it does.
            secrets: the step, whose secrets are hidden besides the job's.
            context: of its log lines: `step`, `tool`.
        """
        stream = self.log.stream(context)
        masker = self.masker(secrets)

        def on_end() -> None:
            stream.write(masker.close())
            stream.close()

        process = Process(
            self.reactor,
            main,
            on_output=lambda data: stream.write(masker.feed(data)),
            on_end=on_end,
            is_full=lambda: stream.is_full,
        )
        self.processes.append(process)
        return process


class StepRun:
    """One step.

    Args:
        around: what it shares with the job's other steps.
        step: as the server gave it.
    """

    def __init__(self, around: Surroundings, step: Mapping[str, Any]) -> None:
        self._around = around
        self._step = dict(step)
        self._index = int(step["index"])
        self._tool = str(step["tool"]).partition("@")[0]
        self._partial: Deque[Message] = deque()
        self._last: Optional[Message] = None
        self._announce_at = time.monotonic() + _ANNOUNCE_SECONDS

    def run(self) -> str:
        """Run the step to its end and report it; returns its status, `done` or `error`.

        Raises:
            JobOverError: nothing more is to be done for this job.
        """
        kills = cgroup.oom_kills()
        try:
            result = self._run_shell() if self._tool == "shell" else self._run_tool()
        except (ExecutorError, ValueError, TypeError, OSError) as error:
            result = outcome.error("exception", str(error))
        if result["status"] == protocol.ERROR and cgroup.oom_kills() > kills:
            result["msg"] = f"{result.get('msg', 'the step failed')}; {outcome.OUT_OF_MEMORY}"
        self._report(result)
        return str(result["status"])

    def _run_shell(self) -> Message:
        command = shell_command(self._step)
        seconds = time_limit(self._step)
        main = child.shell(self._around.executor, command)
        if self._step.get("background"):
            self._start(main)
            return outcome.done()

        def once() -> Message:
            process = self._start(main)
            stopped = self._attend(process, time.monotonic() + seconds)
            if stopped == outcome.STEP_TIMEOUT:
                return outcome.stopped(stopped, f"the command ran longer than {seconds:g} seconds and was ended")
            result = outcome.stopped(stopped) if stopped else self._last or outcome.of_exit_code(process.code or 0)
            return {**result, "duration": outcome.whole_seconds(process.seconds)}

        return self._attempts(once)

    def _run_tool(self) -> Message:
        builtin = BUILTIN_COMMANDS.get(self._tool) if not self._step.get("tool_location") else None
        commands = builtin or self._ask_commands()
        if "collect_tests" in commands and not self._step.get("tests"):
            self._step["tests"] = self._choose_tests()
        result: Message = {}
        for command in [command for command in _RUN_COMMANDS if command in commands]:
            once = functools.partial(self._tool_command, command)
            result = self._attempts(once) if command == "run" else once()
            if result["status"] != protocol.DONE:
                break
        return result

    def _attempts(self, once: Callable[[], Message]) -> Message:
        """Repeat what fails, as often as the step allows."""
        around = self._around
        attempts = max(1, int(self._step.get("attempts") or 1))
        pause = float(self._step.get("sleep_time_after_attempt") or 0)
        result = once()
        for number in range(2, attempts + 1):
            over = around.should_stop() or time.monotonic() + pause >= around.deadline
            if result["status"] == protocol.DONE or over:
                break
            around.log.info(f"step {self._index} failed, attempt {number} of {attempts} begins in {pause:g} s")
            around.reactor.run_until(around.should_stop, time.monotonic() + pause)
            result = once()
        return result

    def _ask_commands(self) -> List[str]:
        """Which functions a user's tool has.

        Raises:
            ExecutorError: the tool cannot be asked, or has nothing to run.
        """
        answer = self._tool_command("get_commands")
        if answer["status"] != protocol.DONE:
            raise ExecutorError(str(answer.get("msg")))
        commands = [str(command) for command in answer.get("commands") or ()]
        if not any(command in _RUN_COMMANDS for command in commands):
            raise ExecutorError(f"tool {self._tool} has none of the functions {', '.join(_RUN_COMMANDS)}")
        return commands

    def _choose_tests(self) -> List[str]:
        """Have the tool name its tests, and the server say which of them run here.

        Raises:
            ExecutorError: there are no tests, or the server does not say.
            JobOverError: the job was cancelled.
        """
        around = self._around
        answer = self._tool_command("collect_tests")
        if answer["status"] != protocol.DONE:
            raise ExecutorError(str(answer.get("msg")), str(answer.get("reason")))
        if not answer.get("tests"):
            raise ExecutorError("the tool found no tests", "no-tests")
        reply = around.session.dispatch_tests(around.job_id, self._index, answer["tests"], around.deadline)
        if reply is None:
            raise ExecutorError("the server did not say in time which tests to run", outcome.JOB_TIMEOUT)
        self._heed(reply)
        if reply.tests is None:
            why = "it does so when a name is in it twice, or a test of another tool has it"
            raise ExecutorError(f"the server refused the list of tests; {why}")
        return reply.tests

    def _tool_command(self, command: str) -> Message:
        around = self._around
        call = ToolCall(command, self._step, around.tools_dirs, branch_environment(self._step))
        process = self._start(child.tool(around.executor, call))
        stopped = self._attend(process, around.deadline)
        self._deliver_partial(process)
        if stopped:
            result = outcome.stopped(stopped)
        else:
            silence = f"tool {self._tool} ended with code {process.code} without saying how it went"
            result = self._last or outcome.error("exception", silence)
        return {**result, "duration": outcome.whole_seconds(process.seconds)}

    def _start(self, main: Callable[[Send], int]) -> Process:
        self._partial.clear()
        self._last = None
        process = self._around.start(main, self._step, step=self._index, tool=self._tool)
        process.on_message = self._on_message
        return process

    def _on_message(self, message: Message) -> None:
        if child.FAILURE in message:
            self._last = message[child.FAILURE]
        elif message.get("status") == protocol.IN_PROGRESS:
            self._partial.append(message)
        else:
            self._last = message

    def _attend(self, process: Process, deadline: float) -> str:
        """Turn the loop until the child has ended, and do what is due; returns why it was stopped, if it was."""
        around = self._around
        watch = Watch(around.reactor, process, deadline, around.deadline, around.should_stop)
        try:
            keep_alive = time.monotonic() + KEEP_ALIVE_SECONDS
            while not process.has_ended:
                until = min(keep_alive, self._announce_at)
                around.reactor.run_until(lambda: process.has_ended or bool(self._partial), until)
                if process.has_ended or self._partial:
                    # What there is to report says as much.
                    pass
                elif time.monotonic() >= self._announce_at:
                    self._announce(process)
                elif time.monotonic() >= keep_alive:
                    keep_alive = time.monotonic() + KEEP_ALIVE_SECONDS
                    self._heed(around.session.keep_alive(around.job_id), process)
                self._deliver_partial(process)
        finally:
            watch.close()
        return watch.reason

    def _announce(self, process: Process) -> None:
        """Tell the server that the step runs, while it runs: the answer may be that it should not."""
        self._announce_at = _NEVER
        self._heed(self._around.session.announce(self._around.job_id, self._index), process)

    def _deliver_partial(self, process: Process) -> None:
        """Report what the tool has found so far."""
        around = self._around
        while self._partial:
            self._announce_at = _NEVER
            message = {**self._partial.popleft(), "duration": outcome.whole_seconds(process.seconds)}
            around.session.report(around.job_id, self._index, message)
            self._heed(around.session.deliver(around.deadline), process)

    def _report(self, result: Message) -> None:
        around = self._around
        if "msg" in result:
            result["msg"] = around.masker(self._step).mask_text(str(result["msg"]))
        around.session.report(around.job_id, self._index, {"duration": 1, **result})
        self._heed(around.session.deliver())

    def _heed(self, answer: Optional[protocol.Answer], process: Optional[Process] = None) -> None:
        """Stop when the server says that the job is over."""
        if answer is None or not answer.cancel:
            return
        if process is not None:
            process.stop()
            self._around.reactor.run_until(lambda: process.has_ended)
        raise JobOverError("the server has cancelled the job")
