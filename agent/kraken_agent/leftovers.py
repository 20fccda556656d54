"""What an agent that was killed left behind: processes, containers, files of its steps, directories of jobs."""

from __future__ import annotations

import os
import signal
import time

from kraken_agent import family, step_files
from kraken_agent.executors.base import JOB_VARIABLE, ExecutorError
from kraken_agent.executors.registry import executor_class, present
from kraken_agent.keeping import Keeping
from kraken_agent.process import Process
from kraken_agent.state_files import installation_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Collection, List, Set, Tuple

    from kraken_agent.executors.base import Send
    from kraken_agent.reactor import Reactor

_GRACE_SECONDS = 3.0
_SWEEP_SECONDS = 60.0
# An engine may still be making the container that a killed agent has asked it for when the next one looks for it.
_AGAIN_SECONDS = 15.0
# One that is out of order may be back by then. A sweep may take a minute, in which the agent takes no job.
_LATER_SECONDS = 300.0
# In the data directory while a job has, or is about to have, a container.
_MARK = "in-container"
_MARK_CHARACTERS = 4096
_NEVER = float("inf")


def expect_container(data_dir: str, executor: str) -> None:
    """Note that a container is about to be made: if this agent is killed, the next one looks for it twice.

    Args:
        data_dir: the agent's data directory.
        executor: name of the executor that makes it.
    """
    # Noted once: the mark does not grow with each job whose container stays.
    if executor in _expected_executors(data_dir):
        return
    try:
        descriptor = os.open(os.path.join(data_dir, _MARK), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{executor}\n")
    except OSError:
        # A full disk keeps no job from running.
        return


def expect_no_container(data_dir: str) -> None:
    """Note that the container is removed."""
    try:
        os.unlink(os.path.join(data_dir, _MARK))
    except OSError:
        return


def is_container_expected(data_dir: str) -> bool:
    """Return whether a job's container may be left: its agent was killed, or could not remove it."""
    # What else is there, such as a directory, a job has left: it is no mark, and would stay one for ever.
    return os.path.isfile(os.path.join(data_dir, _MARK))


def _expected_executors(data_dir: str) -> Set[str]:
    """Return the executors whose containers may be left; empty when the mark does not say: any may be."""
    try:
        with open(os.path.join(data_dir, _MARK), encoding="utf-8", errors="replace") as file:
            return set(file.read(_MARK_CHARACTERS).split())
    except OSError:
        return set()


def sweep(reactor: Reactor, data_dir: str, keeping: Keeping, warn: Callable[[str], None]) -> None:
    """Before the first job: end and remove what a killed agent of this data directory has left.

    Args:
        keeping: how many directories of jobs stay.
        warn: takes a text about state in the data directory that cannot be read, or a directory that cannot go.
    """
    end = time.monotonic() + _GRACE_SECONDS
    number = signal.SIGTERM
    while True:
        left = _processes_of_jobs(data_dir)
        for pid in left:
            family.signal_one(pid, number)
        if not left or time.monotonic() >= end + _GRACE_SECONDS:
            break
        # Killed again and again: some may fork between a look and a signal.
        reactor.turn(time.monotonic() + (0.1 if number == signal.SIGTERM else 0.01))
        number = signal.SIGTERM if time.monotonic() < end else signal.SIGKILL
    step_files.remove(data_dir)
    sweep_containers(reactor, data_dir, warn)
    _, told = _in_child(reactor, lambda send: _prune(os.path.join(data_dir, "jobs"), keeping))
    for line in told.decode("utf-8", "replace").splitlines():
        warn(line)


def _prune(jobs: str, keeping: Keeping = Keeping()) -> int:  # noqa: B008 - a NamedTuple never changes
    """Remove directories of jobs as after a job: an agent that was killed in each of its jobs has removed none."""
    # Agents that have nothing to remove need not load it, nor the readers of images.
    from kraken_agent import tidying

    tidying.prune(jobs, keeping)
    return 0


def sweep_containers(
    reactor: Reactor, data_dir: str, warn: Callable[[str], None], executors: Collection[str] = ()
) -> bool:
    """Between jobs: remove every container that this installation has made, and no other one.

    Args:
        executors: names of those whose containers to remove; empty for all.

    Returns:
        whether none is left, as far as the engines say that are there.
    """
    installation = installation_id(data_dir, warn)
    names = [name for name, may_work in present() if may_work and (not executors or name in executors)]
    codes = [_in_child(reactor, _executor_sweep(name, installation))[0] for name in names]
    return bool(codes) and not any(codes)


class Sweeps:
    """Removes what a killed agent has left when the server first knows this one: there may never be another job.

    Removes containers again while one may be left, be it of that agent or of a job of this one.

    Args:
        warn: takes a text about state in the data directory that cannot be read, or a directory that cannot go.
    """

    def __init__(self, reactor: Reactor, data_dir: str, warn: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._data_dir = data_dir
        self._warn = warn
        self._is_swept = False
        self._again_at = _NEVER
        self._executors: Set[str] = set()

    def first(self, keeping: Keeping) -> None:
        """Sweep, once.

        Args:
            keeping: how many directories of jobs stay.
        """
        if not self._is_swept:
            sweep(self._reactor, self._data_dir, keeping, self._warn)
            self._is_swept = True

    def again_when_due(self) -> None:
        """Sweep containers again, some time after a job whose container may be left, until that has succeeded."""
        # A job that ends well removes the mark of the job before; the time and the executors stay.
        if is_container_expected(self._data_dir):
            if self._again_at == _NEVER:
                self._again_at = time.monotonic() + _AGAIN_SECONDS
            self._executors |= _expected_executors(self._data_dir)
        if time.monotonic() >= self._again_at:
            # Another engine that is out of order says nothing about this container.
            if sweep_containers(self._reactor, self._data_dir, self._warn, self._executors):
                self._again_at = _NEVER
                self._executors.clear()
                expect_no_container(self._data_dir)
            else:
                self._again_at = time.monotonic() + _LATER_SECONDS


def _in_child(reactor: Reactor, main: Callable[[Send], int]) -> Tuple[int, bytes]:
    """Run a function in a child, give it a minute, and return its exit code and what it printed."""
    output: List[bytes] = []
    process = Process(reactor, main, output.append)
    if not reactor.run_until(lambda: process.has_ended, time.monotonic() + _SWEEP_SECONDS):
        process.stop()
        reactor.run_until(lambda: process.has_ended)
    process.close()
    return process.code or 0, b"".join(output)


def _executor_sweep(name: str, installation: str) -> Callable[[Send], int]:
    def main(send: Send) -> int:
        try:
            executor_class(name).sweep(installation)
        except ExecutorError as error:
            if not isinstance(error.__cause__, PermissionError):
                raise
            # An engine that does not let the agent in has made nothing for it.
        return 0

    return main


def _processes_of_jobs(data_dir: str) -> List[int]:
    mark = f"{JOB_VARIABLE}={data_dir}/jobs/".encode()
    found = []
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                with open(f"/proc/{entry}/environ", "rb") as file:
                    variables = file.read().split(b"\0")
                directory = os.readlink(f"/proc/{entry}/cwd")
            except OSError:
                continue
            # A process may have another environment than the job, and another directory, but seldom both.
            if directory.startswith(f"{data_dir}/jobs/") or any(each.startswith(mark) for each in variables):
                found.append(int(entry))
    return found
