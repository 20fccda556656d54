"""The executor `docker`: a job's steps run in a container of the image that the job's system names."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional

from kraken_agent.executors.base import ExecutorError
from kraken_agent.executors.container.executor import ContainerExecutor, say_it_runs
from kraken_agent.executors.container.programs import Program, survive_broken_pipes
from kraken_agent.executors.docker.containers import Wanted, labels, make_container, own_container_id
from kraken_agent.executors.docker.engine import EngineSocket
from kraken_agent.images import DOCKER, Record
from kraken_agent.tools.output import say

_DETECT_SECONDS = 2.0
_SOCKET_VARIABLE = "KRAKEN_AGENT_DOCKER_SOCKET_IN_JOBS"


class DockerBox:
    """One running container, reached over the engine's socket.

    Args:
        engine: where it is.
        container: its id.
    """

    def __init__(self, engine: EngineSocket, container: str) -> None:
        self._engine = engine
        self._container = container

    def execute(self, program: Program) -> int:
        """Run a program to its end; return its exit code."""
        return self._engine.run(self._container, program)

    def unpack(self, archive: bytes) -> None:
        """Unpack a tar archive at the root."""
        self._engine.unpack(self._container, archive)


class DockerExecutor(ContainerExecutor):
    """Steps run in a container; the job's directory is mounted at the same path.

    The engine's socket is mounted only when KRAKEN_AGENT_DOCKER_SOCKET_IN_JOBS asks for it: whoever can write to it is
    root on the host.
    """

    name = "docker"

    @classmethod
    def version(cls) -> str:
        """Return the engine's version."""
        return EngineSocket(timeout=_DETECT_SECONDS).version()

    @classmethod
    def containers(cls, installation: str) -> List[str]:
        """Return the containers of an installation's jobs, running or not."""
        return EngineSocket().containers(installation)

    @classmethod
    def remove(cls, container: str) -> None:
        """End a container and remove it with everything in it; one that is gone is fine."""
        engine = EngineSocket()
        _give_back(engine, container)
        engine.remove(container)

    def prepare(self) -> Optional[Dict[str, Any]]:
        """Get the image, start the container."""
        survive_broken_pipes()
        engine = EngineSocket()
        wanted = Wanted(
            image=str(self.place.job["system"]),
            labels=labels(self.place.installation, self.place.address, self.place.id),
            directory=self.place.directory,
            seconds=self.place.seconds,
            own_container=own_container_id(),
            socket=engine.path if os.environ.get(_SOCKET_VARIABLE) == "yes" else "",
        )
        record = Record(self.place.data_dir)
        made = make_container(
            engine,
            wanted,
            say,
            lambda identity, is_pulled: record.note(DOCKER, wanted.image, identity, is_pulled=is_pulled),
        )
        say_it_runs(f"container {made.id[:12]} of image {wanted.image}")
        return {"container": made.id, "user": made.user, "shares": made.shares_directory}

    def box(self) -> DockerBox:
        """Return the job's container."""
        if "container" not in self.state:
            raise ExecutorError("the job has no container")
        return DockerBox(EngineSocket(), self.state["container"])

    def shares_directory(self) -> bool:
        """Return whether both see the job's directory: an agent in a container shows only what is on a mount."""
        return bool(self.state.get("shares"))

    def default_user(self) -> str:
        """Return the image's own user."""
        return str(self.state.get("user", ""))

    def cleanup(self) -> None:
        """Remove the job's container, by its label: `prepare` may have ended before it could say the id."""
        survive_broken_pipes()
        for container in EngineSocket().containers(self.place.installation, self.place.id):
            self.remove(container)


def _give_back(engine: EngineSocket, container: str) -> None:
    """Give files that a container's users made in the job's directory to the agent, which removes them."""
    if os.geteuid() == 0:
        return
    owner = f"{os.geteuid()}:{os.getegid()}"
    try:
        directory = str(engine.inspect(container)["Config"].get("WorkingDir") or "")
        if directory:
            # As root of the container: the agent's account may not change files of other users.
            argv = ["chown", "-R", owner, directory]
            engine.run(container, Program(argv, {}, "/", "0", b"", _ignore, _ignore))
    except ExecutorError as error:
        # The container may be down already; then the files stay, and removing it matters more.
        say(f"files of container {container[:12]} could not be given back: {error}")


def _ignore(data: bytes) -> None:
    """Ignore what chown says about files that another process removes meanwhile."""
