"""Children of the agent: started by fork, read through a pipe, and ended with everything that they started."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from kraken_agent import family
from kraken_agent.reactor import forget_in_child
from kraken_agent.tools.processes import descendants

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

    from kraken_agent.reactor import Reactor, Timer

    Message = Dict[str, Any]
    Send = Callable[[Message], None]
    Main = Callable[[Send], int]

# Between SIGTERM and SIGKILL.
GRACE_SECONDS = 5.0
# After a child has ended its output may still be held by something that it left; so long the rest is waited for.
_REST_SECONDS = 0.1
_READ_BYTES = 64 * 1024
# A child that runs out of memory is killed before the agent is.
_OOM_SCORE = b"500"
_LOWEST_DESCRIPTOR = 3
_FULL_PAUSE_SECONDS = 0.05


class Process:
    """One child. It has ended when it was reaped and its output was read.

    Args:
        reactor: the agent's loop.
        main: runs in the child, whose directory and environment are its own; returns the exit code.
        on_output: takes bytes that the child wrote to standard output or error.
        on_end: called when the child has ended, and again when nobody holds its output any more.
        is_full: asked before reading output; while true, the child waits.

    Attributes:
        on_message: takes what the child gave to the function that `main` is called with.
        code: exit code, -N when signal N ended it, None while it runs.
        seconds: how long it has run.
        held_seconds: how long it may have waited because its output was not read.
    """

    def __init__(
        self,
        reactor: Reactor,
        main: Main,
        on_output: Callable[[bytes], None],
        on_end: Callable[[], None] = lambda: None,
        is_full: Callable[[], bool] = lambda: False,
    ) -> None:
        self._reactor = reactor
        self._on_output = on_output
        self._on_end = on_end
        self.on_message: Optional[Callable[[Message], None]] = None
        self._is_full = is_full
        self._message_rest = b""
        self._timer: Optional[Timer] = None
        self._kill_timer: Optional[Timer] = None
        self._family: List[int] = []
        self._reaped = False
        self._exit_code = 0
        self.code: Optional[int] = None
        self.was_stopped = False
        self._started = time.monotonic()
        self._ended: Optional[float] = None
        self.held_seconds = 0.0
        output, messages = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _child(main, output[1], messages[1])
        for descriptor in (output[1], messages[1]):
            os.close(descriptor)
        self._output, self._messages = output[0], messages[0]
        for descriptor, callback in ((self._output, self._read_output), (self._messages, self._read_messages)):
            os.set_blocking(descriptor, False)
            reactor.register(descriptor, callback)
        _RUNNING[self.pid] = self

    @property
    def has_ended(self) -> bool:
        """Return whether the child is gone and what it wrote was read."""
        return self.code is not None

    @property
    def seconds(self) -> float:
        """Return how long it has run."""
        return (self._ended or time.monotonic()) - self._started

    def stop(self) -> None:
        """End the child and everything that it started: politely now, for good after the grace."""
        if self.was_stopped or self.has_ended:
            return
        self.was_stopped = True
        self._family = [self.pid, *descendants(self.pid)]
        self._signal(signal.SIGTERM)
        self._kill_timer = self._reactor.call_in(GRACE_SECONDS, self._kill)

    def _kill(self) -> None:
        self._kill_timer = None
        for pid in list(self._family):
            self._family += [found for found in descendants(pid) if found not in self._family]
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        family.signal_group(self.pid, number)
        for pid in self._family:
            if pid != self.pid or not self._reaped:
                family.signal_one(pid, number)

    def on_reaped(self, code: int) -> None:
        """Note that the child is gone; what it started may hold its output open, for ever if it is a daemon."""
        self._reaped = True
        self._ended = time.monotonic()
        self._exit_code = code
        self._timer = self._reactor.call_in(_REST_SECONDS, self._finish)
        self._finish_when_read()

    def _finish_when_read(self) -> None:
        if self._reaped and self._output < 0 and self._messages < 0:
            self._finish()

    def _finish(self) -> None:
        if self.code is not None:
            return
        self._reactor.cancel(self._timer)
        if self._output >= 0 and self._is_full():
            # What the child wrote waits in the pipe until the log has room.
            self._timer = self._reactor.call_in(_REST_SECONDS, self._finish)
        else:
            self.code = self._exit_code
            self._on_end()

    def close(self) -> None:
        """Read no more from it: to be called when the job is over, since daemons may live and write until then."""
        self._reactor.cancel(self._timer)
        if self._kill_timer is not None:
            self._reactor.cancel(self._kill_timer)
            self._kill()
        for descriptor in (self._output, self._messages):
            if descriptor >= 0:
                self._reactor.unregister(descriptor)
                os.close(descriptor)
        self._output = self._messages = -1
        self._on_end()

    def _read_output(self) -> None:
        if self._is_full():
            # Not registered for a moment: a pipe that nobody reads would keep the loop turning.
            self._reactor.unregister(self._output)
            self._reactor.call_in(_FULL_PAUSE_SECONDS, self._read_output_again)
            self.held_seconds += _FULL_PAUSE_SECONDS
            return
        data = _read(self._output)
        if data is None:
            return
        if data:
            self._on_output(data)
            return
        self._reactor.unregister(self._output)
        os.close(self._output)
        self._output = -1
        self._finish_when_read()

    def _read_output_again(self) -> None:
        if self._output >= 0:
            self._reactor.register(self._output, self._read_output)

    def _read_messages(self) -> None:
        data = _read(self._messages)
        if data is None:
            return
        if not data:
            self._reactor.unregister(self._messages)
            os.close(self._messages)
            self._messages = -1
            self._finish_when_read()
            return
        *lines, self._message_rest = (self._message_rest + data).split(b"\n")
        for line in lines:
            if self.on_message is not None:
                self.on_message(json.loads(line))


# Children that were not reaped yet, by process id.
_RUNNING: Dict[int, Process] = {}


def reap() -> None:
    """On SIGCHLD: collect who has ended, orphans that the agent took over among them."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        process = _RUNNING.pop(pid, None)
        if process is not None:
            process.on_reaped(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def _read(descriptor: int) -> Optional[bytes]:
    """Return what can be read now; empty at the end, None when there is nothing yet."""
    try:
        return os.read(descriptor, _READ_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _child(main: Main, output: int, messages: int) -> None:
    """Do everything that the child does; never return."""
    code = 1
    try:
        forget_in_child()
        os.setsid()
        _expect_oom()
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sender = os.dup2(messages, _LOWEST_DESCRIPTOR, inheritable=False)
        os.closerange(_LOWEST_DESCRIPTOR + 1, 512)
        sys.stdout = os.fdopen(1, "w", 1, "utf-8", "backslashreplace", closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, "utf-8", "backslashreplace", closefd=False)
        code = main(lambda message: _send(sender, message))
        sys.stdout.flush()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - nothing may come back from a child into the agent's own code
        _write_traceback(error)
    finally:
        os._exit(code & 0xFF)


def _expect_oom() -> None:
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    except OSError:
        return
    try:
        os.write(descriptor, _OOM_SCORE)
    except OSError:
        return
    finally:
        os.close(descriptor)


def _send(descriptor: int, message: Message) -> None:
    line = json.dumps(message).encode() + b"\n"
    while line:
        line = line[os.write(descriptor, line) :]


def _write_traceback(error: BaseException) -> None:
    import traceback

    traceback.print_exception(type(error), error, error.__traceback__)
    sys.stderr.flush()
