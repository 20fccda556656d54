"""Runs one step: starts it on the job's executor, waits for its end, and reports how it ended."""

from __future__ import annotations

import functools
import time
from collections import deque

from kraken_agent import cgroup, child, outcome, protocol
from kraken_agent.executors.base import ExecutorError, ToolCall
from kraken_agent.shell_step import branch_environment, shell_command, time_limit
from kraken_agent.time_limit import TimeLimit
from kraken_agent.tools.catalog import BUILTIN_COMMANDS, RUN_COMMANDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Deque, Dict, List, Mapping, Optional

    from kraken_agent.executors.base import Send
    from kraken_agent.job_context import JobContext
    from kraken_agent.process import Process

    Message = Dict[str, Any]

KEEP_ALIVE_SECONDS = 10.0
# That a step runs is told only of one that runs so long: what a quick step costs is its messages. To the server it is
# no more than what it shows (_handle_step_result2 in kraken/server/backend.py, 1.7.36).
_ANNOUNCE_SECONDS = 0.25
_NEVER = float("inf")


class JobOverError(Exception):
    """The job ends here, and the server knows: it was cancelled, or is not this agent's any more."""


class StepRun:
    """One step.

    Args:
        context: what it shares with the job's other steps.
        step: as the server gave it.
    """

    def __init__(self, context: JobContext, step: Mapping[str, Any]) -> None:
        self._context = context
        self._step = dict(step)
        self._index = int(step["index"])
        self._masker = context.masker(step)
        self._tool = str(step["tool"]).partition("@")[0]
        self._partial: Deque[Message] = deque()
        self._last: Optional[Message] = None
        self._announce_at = time.monotonic() + _ANNOUNCE_SECONDS

    def run(self) -> str:
        """Run the step to its end and report it; return its status, `done` or `error`.

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
        main = child.shell(self._context.executor, command)
        if self._step.get("background"):
            self._start(main)
            return outcome.done()

        def once() -> Message:
            process = self._start(main)
            stopped = self._wait_for(process, time.monotonic() + seconds)
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
        for command in [command for command in RUN_COMMANDS if command in commands]:
            once = functools.partial(self._tool_command, command)
            result = self._attempts(once) if command == "run" else once()
            if result["status"] != protocol.DONE:
                break
        return result

    def _attempts(self, once: Callable[[], Message]) -> Message:
        """Repeat what fails, as often as the step allows."""
        context = self._context
        attempts = max(1, int(self._step.get("attempts") or 1))
        pause = protocol.seconds_of(self._step.get("sleep_time_after_attempt"), 0.0)
        result = once()
        for number in range(2, attempts + 1):
            over = context.should_stop() or time.monotonic() + pause >= context.deadline
            if result["status"] == protocol.DONE or over:
                break
            context.log.info(f"step {self._index} failed, attempt {number} of {attempts} begins in {pause:g} s")
            context.reactor.run_until(context.should_stop, time.monotonic() + pause)
            result = once()
        return result

    def _ask_commands(self) -> List[str]:
        """Return which functions a user's tool has.

        Raises:
            ExecutorError: the tool cannot be asked, or has nothing to run.
        """
        answer = self._tool_command("get_commands")
        if answer["status"] != protocol.DONE:
            raise ExecutorError(str(answer.get("msg")))
        commands = [str(command) for command in answer.get("commands") or ()]
        if not any(command in RUN_COMMANDS for command in commands):
            raise ExecutorError(f"tool {self._tool} has none of the functions {', '.join(RUN_COMMANDS)}")
        return commands

    def _choose_tests(self) -> List[str]:
        """Have the tool name its tests, and the server say which of them run here.

        Raises:
            ExecutorError: there are no tests, or the server does not say.
            JobOverError: the job was cancelled.
        """
        context = self._context
        answer = self._tool_command("collect_tests")
        if answer["status"] != protocol.DONE:
            raise ExecutorError(str(answer.get("msg")), str(answer.get("reason")))
        if not answer.get("tests"):
            raise ExecutorError("the tool found no tests", "no-tests")
        # A test may be called after a secret. The server gives the hidden names back, and the tool knows its own.
        names = {self._masker.mask_text(str(test)): str(test) for test in answer["tests"]}
        reply = context.session.dispatch_tests(context.job_id, self._index, list(names), context.deadline)
        if reply is None:
            raise ExecutorError("the server did not say in time which tests to run", outcome.JOB_TIMEOUT)
        self._stop_if_cancelled(reply)
        if reply.tests is None:
            why = "it does so when a name is in it twice, or a test of another tool has it"
            raise ExecutorError(f"the server refused the list of tests; {why}")
        return [names[test] for test in reply.tests if test in names]

    def _tool_command(self, command: str) -> Message:
        context = self._context
        call = ToolCall(command, self._step, context.tools_dirs, branch_environment(self._step))
        process = self._start(child.tool(context.executor, call))
        stopped = self._wait_for(process, context.deadline)
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
        process = self._context.start(main, self._step, step=self._index, tool=self._tool)
        process.on_message = self._on_message
        return process

    def _on_message(self, message: Message) -> None:
        if child.FAILURE in message:
            self._last = message[child.FAILURE]
        elif message.get("status") == protocol.IN_PROGRESS:
            self._partial.append(message)
        else:
            self._last = message

    def _wait_for(self, process: Process, deadline: float) -> str:
        """Turn the loop until the child has ended, and do what is due; return why it was stopped, if it was."""
        context = self._context
        limit = TimeLimit(context.reactor, process, deadline, context.deadline, context.should_stop)
        try:
            keep_alive = time.monotonic() + KEEP_ALIVE_SECONDS
            while not process.has_ended:
                until = min(keep_alive, self._announce_at)
                context.reactor.run_until(lambda: process.has_ended or bool(self._partial), until)
                if process.has_ended or self._partial:
                    # What there is to report says as much.
                    pass
                elif time.monotonic() >= self._announce_at:
                    self._announce(process)
                elif time.monotonic() >= keep_alive:
                    keep_alive = time.monotonic() + KEEP_ALIVE_SECONDS
                    self._stop_if_cancelled(context.session.keep_alive(context.job_id), process)
                self._deliver_partial(process)
        finally:
            limit.close()
        return limit.reason

    def _announce(self, process: Process) -> None:
        """Tell the server that the step runs, while it runs: the answer may be that it should not."""
        self._announce_at = _NEVER
        self._stop_if_cancelled(self._context.session.announce(self._context.job_id, self._index), process)

    def _deliver_partial(self, process: Process) -> None:
        """Report what the tool has found so far."""
        context = self._context
        while self._partial:
            self._announce_at = _NEVER
            message = {**self._partial.popleft(), "duration": outcome.whole_seconds(process.seconds)}
            context.session.report(context.job_id, self._index, self._masker.mask_message(message))
            self._stop_if_cancelled(context.session.deliver(context.deadline), process)

    def _report(self, result: Message) -> None:
        context = self._context
        masked = self._masker.mask_message({"duration": 1, **result})
        context.session.report(context.job_id, self._index, masked)
        self._stop_if_cancelled(context.session.deliver())

    def _stop_if_cancelled(self, answer: Optional[protocol.Answer], process: Optional[Process] = None) -> None:
        """Stop when the server says that the job is over."""
        if answer is None or not answer.cancel:
            return
        if process is not None:
            process.stop()
            self._context.reactor.run_until(lambda: process.has_ended)
        raise JobOverError("the server has cancelled the job")
