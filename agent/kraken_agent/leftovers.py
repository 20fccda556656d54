"""What earlier jobs and an agent that was killed left behind: processes, containers, files, old job directories."""

from __future__ import annotations

import os
import signal
import time

from kraken_agent import family, step_files
from kraken_agent.executors.base import JOB_VARIABLE
from kraken_agent.executors.registry import executor_class, present
from kraken_agent.process import Process
from kraken_agent.state_files import installation_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Set

    from kraken_agent.executors.base import Send
    from kraken_agent.reactor import Reactor

_GRACE_SECONDS = 3.0
_SWEEP_SECONDS = 60.0
_KEPT_JOBS = 10
# In the data directory while a job has, or is about to have, a container.
_MARK = "in-container"


def expect_container(data_dir: str) -> None:
    """Note that a container is about to be made: if this agent is killed, the next one looks for it twice."""
    try:
        os.close(os.open(os.path.join(data_dir, _MARK), os.O_WRONLY | os.O_CREAT, 0o600))
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
    """Return whether an agent of this data directory was killed before it had removed its job's container."""
    return os.path.exists(os.path.join(data_dir, _MARK))


def sweep(reactor: Reactor, data_dir: str, warn: Callable[[str], None]) -> None:
    """Before the first job: end and remove what a killed agent of this data directory has left.

    Args:
        warn: takes a text about state in the data directory that cannot be read.
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


def sweep_containers(reactor: Reactor, data_dir: str, warn: Callable[[str], None]) -> None:
    """Between jobs: remove every container that this installation has made, and no other one."""
    installation = installation_id(data_dir, warn)
    for name, may_work in present():
        if may_work:
            process = Process(reactor, _executor_sweep(name, installation), on_output=lambda data: None)
            if not reactor.run_until(lambda: process.has_ended, time.monotonic() + _SWEEP_SECONDS):  # noqa: B023
                process.stop()
                reactor.run_until(lambda: process.has_ended)  # noqa: B023 - called at once
            process.close()


class JobDirectories:
    """Keeps the directories of the latest jobs, for people who look for the cause of a failure, and removes the others.

    Args:
        data_dir: the agent's data directory.
        warn: takes a text about each directory that cannot be removed, once.
    """

    def __init__(self, data_dir: str, warn: Callable[[str], None]) -> None:
        self._jobs = os.path.join(data_dir, "jobs")
        self._warn = warn
        self._told: Set[str] = set()

    def prune(self, reactor: Reactor) -> None:
        """Remove what is too old, in a child that nobody waits for."""
        if os.path.isdir(self._jobs) and len(os.listdir(self._jobs)) > _KEPT_JOBS:
            output: List[bytes] = []
            Process(reactor, lambda send: _prune(self._jobs), output.append, lambda: self._tell(b"".join(output)))

    def _tell(self, output: bytes) -> None:
        for line in output.decode("utf-8", "replace").splitlines():
            # The size may grow, and is not worth saying again.
            path = line.partition(":")[0]
            if path not in self._told:
                self._told.add(path)
                self._warn(line)


def _executor_sweep(name: str, installation: str) -> Callable[[Send], int]:
    def main(send: Send) -> int:
        executor_class(name).sweep(installation)
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


def _prune(jobs: str) -> int:
    """Remove all but the latest job directories; write a line about each that stays."""
    directories = [entry for entry in os.scandir(jobs) if entry.is_dir(follow_symlinks=False)]
    # A job can set any other time of its directory, for example to one far away.
    directories.sort(key=lambda entry: entry.stat(follow_symlinks=False).st_ctime, reverse=True)
    for entry in directories[_KEPT_JOBS:]:
        _remove_tree(entry.path)
        if os.path.lexists(entry.path):
            print(  # noqa: T201 - the output of this child is what the agent warns of
                f"{entry.path}: this directory of an earlier job cannot be removed, {_size(entry.path)} kB stay: "
                "files in it belong to another user; remove it as root"
            )
    return 0


def _remove_tree(path: str) -> None:
    """Remove a directory with the programs for it, which do not mind how deep it is and follow no links.

    Directories without leave to write, such as those of Go's module cache, are made writable first.
    """
    commands = [["rm", "-rf", "--", path], ["chmod", "-R", "--", "u+rwx", path], ["rm", "-rf", "--", path]]
    if os.geteuid() != 0:
        # Files of a step's `user`. Without sudo, which is the default, this ends at once.
        commands.append(["sudo", "-n", "rm", "-rf", "--", path])
    for command in commands:
        _run(command)
        if not os.path.lexists(path):
            return


def _size(path: str) -> str:
    """Return how many kB a directory takes, as far as this account can see."""
    return _run(["du", "-sk", "--", path]).split("\t")[0] or "some"


def _run(command: List[str]) -> str:
    """Run a program to its end; return what it wrote. This child of the agent imports nothing for it."""
    read_end, write_end = os.pipe()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, write_end, 1),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_CLOSE, read_end),
    ]
    with open(read_end, "rb") as output:
        try:
            pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
        except OSError:
            return ""
        finally:
            os.close(write_end)
        said = output.read()
    os.waitpid(pid, 0)
    return said.decode("utf-8", "replace")
