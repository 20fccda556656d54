"""Which executor serves a job, and which of them this host has. A module is imported when its executor is used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Tuple, Type

    from kraken_agent.executors.base import Executor, JobPlace

_DOCKER_SOCKET = "/var/run/docker.sock"
# Where Debian's package has it, and where the snap has it.
_LXD_SOCKETS = ("/var/lib/lxd/unix.socket", "/var/snap/lxd/common/lxd/unix.socket")

# name -> (module, class)
_EXECUTORS = {
    "local": ("kraken_agent.executors.local", "LocalExecutor"),
    "docker": ("kraken_agent.executors.docker.executor", "DockerExecutor"),
    "lxd": ("kraken_agent.executors.lxd.executor", "LxdExecutor"),
}


def executor_for(name: str, place: JobPlace) -> Executor:
    """Return the executor of a job, without the modules of containers.

    Args:
        name: the job's `executor`.
        place: the job.

    Raises:
        ExecutorError: this agent has no such executor.
    """
    if name in _EXECUTORS and name != "local":
        from kraken_agent.executors.lazy import LazyExecutor

        return LazyExecutor(name, place, lambda: executor_class(name))
    return executor_class(name)(place)


def executor_class(name: str) -> Type[Executor]:
    """Return the class of an executor.

    Args:
        name: the job's `executor`.

    Raises:
        ExecutorError: this agent has no such executor.
    """
    import importlib

    from kraken_agent.executors.base import ExecutorError

    try:
        module, attribute = _EXECUTORS[name]
        found: Type[Executor] = getattr(importlib.import_module(module), attribute)
    except (KeyError, ImportError) as error:
        raise ExecutorError(f"this agent has no executor {name!r}; it knows {', '.join(_EXECUTORS)}") from error
    return found


def present() -> Iterator[Tuple[str, bool]]:
    """Yield each executor beyond `local`, and whether its socket is there: no import, no connection."""
    import os

    yield "docker", bool(os.environ.get("DOCKER_HOST")) or os.path.exists(_DOCKER_SOCKET)
    yield "lxd", any(os.path.exists(path) for path in _LXD_SOCKETS)
