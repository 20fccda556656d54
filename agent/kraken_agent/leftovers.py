"""What earlier lives and jobs left behind: processes of an agent that was killed, containers, old job directories."""

from __future__ import annotations

import os
import signal
import time

from kraken_agent import family
from kraken_agent.executors.base import JOB_VARIABLE
from kraken_agent.executors.registry import executor_class, present
from kraken_agent.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List

    from kraken_agent.executors.base import Send
    from kraken_agent.reactor import Reactor

_GRACE_SECONDS = 3.0
_SWEEP_SECONDS = 60.0
_KEPT_JOBS = 10
# In the data directory while a job has, or is about to have, a container.
_MARK = "in-container"


def expect_container(data_dir: str) -> None:
    """A container is about to be made: if this agent does not live to remove it, the next one looks for it twice."""
    try:
        os.close(os.open(os.path.join(data_dir, _MARK), os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError:
        # A full disk keeps no job from running.
        return


def expect_no_container(data_dir: str) -> None:
    """It is removed."""
    try:
        os.unlink(os.path.join(data_dir, _MARK))
    except OSError:
        return


def is_container_expected(data_dir: str) -> bool:
    """Whether an agent of this data directory was killed before it had removed its job's container."""
    return os.path.exists(os.path.join(data_dir, _MARK))


def sweep(reactor: Reactor, data_dir: str, address: str) -> None:
    """At the agent's start, before its first job: end what a killed agent of this data directory has left running."""
    end = time.monotonic() + _GRACE_SECONDS
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = _processes_of_jobs(data_dir)
        for pid in left:
            family.signal_one(pid, number)
        while left and time.monotonic() < end:
            reactor.turn(time.monotonic() + 0.1)
            left = _processes_of_jobs(data_dir)
        if not left:
            break
    sweep_containers(reactor, address)


def sweep_containers(reactor: Reactor, address: str) -> None:
    """Between jobs: remove every container of an agent."""
    for name, may_work in present():
        if may_work:
            process = Process(reactor, _executor_sweep(name, address), on_output=lambda data: None)
            if not reactor.run_until(lambda: process.has_ended, time.monotonic() + _SWEEP_SECONDS):  # noqa: B023
                process.stop()
                reactor.run_until(lambda: process.has_ended)  # noqa: B023 - called at once
            process.close()


def prune_jobs(reactor: Reactor, data_dir: str) -> None:
    """Remove the directories of all but the latest jobs, in a child that nobody waits for."""
    jobs = os.path.join(data_dir, "jobs")
    if os.path.isdir(jobs) and len(os.listdir(jobs)) > _KEPT_JOBS:
        Process(reactor, lambda send: _prune(jobs), on_output=lambda data: None)


def _executor_sweep(name: str, address: str) -> Callable[[Send], int]:
    def main(send: Send) -> int:
        executor_class(name).sweep(address)
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
            except OSError:
                continue
            if any(variable.startswith(mark) for variable in variables):
                found.append(int(entry))
    return found


def _prune(jobs: str) -> int:
    import shutil

    directories = [entry for entry in os.scandir(jobs) if entry.is_dir(follow_symlinks=False)]
    directories.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in directories[_KEPT_JOBS:]:
        shutil.rmtree(entry.path, ignore_errors=True)
    return 0
