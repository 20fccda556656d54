"""The executor `docker`: a job's steps run in a container of the image that the job's system names."""

from __future__ import annotations

import importlib.util
import os
from typing import Any, Dict, Mapping, Optional, Sequence

from kraken_agent.executors.base import ExecutorError
from kraken_agent.executors.container import ContainerExecutor, OnBytes
from kraken_agent.executors.docker_engine import Wanted, make_container, own_container_id
from kraken_agent.executors.docker_socket import EngineError, EngineSocket
from kraken_agent.executors.stopping import survive_broken_pipes
from kraken_agent.tools.output import say

_DETECT_SECONDS = 2.0


class DockerBox:
    """One running container, reached over the engine's socket.

    Args:
        engine: where it is.
        container: its id.
    """

    def __init__(self, engine: EngineSocket, container: str) -> None:
        self._engine = engine
        self._container = container

    def execute(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        user: str,
        stdin: bytes,
        on_stdout: OnBytes,
        on_stderr: OnBytes,
    ) -> int:
        """Run a program to its end; returns its exit code."""
        try:
            return self._engine.run(
                self._container,
                argv,
                env=env,
                cwd=cwd,
                user=user,
                stdin=stdin,
                on_stdout=on_stdout,
                on_stderr=on_stderr,
            )
        except EngineError as error:
            raise ExecutorError(str(error)) from error

    def unpack(self, archive: bytes) -> None:
        """Unpack a tar archive at the root."""
        try:
            self._engine.unpack(self._container, archive)
        except EngineError as error:
            raise ExecutorError(str(error)) from error


class DockerExecutor(ContainerExecutor):
    """Steps run in a container; the job's directory is mounted at the same path, and the engine's socket with it."""

    name = "docker"

    @classmethod
    def detect(cls) -> Dict[str, str]:
        """The engine's version; nothing, and the reason in the log, when docker jobs cannot run here."""
        if importlib.util.find_spec("docker") is None:
            say("docker jobs are not offered: the Python package docker is not installed")
            return {}
        try:
            return {"docker": EngineSocket(timeout=_DETECT_SECONDS).version()}
        except (EngineError, ValueError, KeyError) as error:
            say(f"docker jobs are not offered: {error}")
            return {}

    @classmethod
    def sweep(cls, address: str) -> None:
        """Remove the containers that a killed agent left."""
        survive_broken_pipes()
        try:
            engine = EngineSocket()
            for container in engine.containers(address):
                directory = str(engine.inspect(container)["Config"].get("WorkingDir") or "")
                _remove(engine, container, directory)
                say(f"container {container[:12]} of an earlier job is removed")
        except EngineError as error:
            raise ExecutorError(f"containers of earlier jobs cannot be removed: {error}") from error

    def prepare(self) -> Optional[Dict[str, Any]]:
        """Get the image, start the container."""
        survive_broken_pipes()
        try:
            wanted = Wanted(
                image=str(self.place.job["system"]),
                owner=self.place.address,
                job=self.place.id,
                directory=self.place.directory,
                seconds=self.place.seconds,
                own_container=own_container_id(),
                socket=EngineSocket().path,
            )
            container, user = make_container(wanted, say)
        except EngineError as error:
            raise ExecutorError(str(error)) from error
        return {"container": container, "user": user}

    def box(self) -> DockerBox:
        """The job's container."""
        if "container" not in self.state:
            raise ExecutorError("the job has no container")
        return DockerBox(EngineSocket(), self.state["container"])

    def shares_directory(self) -> bool:
        """An agent in a container shares its job's directory only if its data directory is a mount of its own."""
        return not own_container_id()

    def default_user(self) -> str:
        """The image's own user."""
        return str(self.state.get("user", ""))

    def cleanup(self) -> None:
        """Remove the job's container, by its label: `prepare` may have ended before it could say the id."""
        survive_broken_pipes()
        try:
            engine = EngineSocket()
            for container in engine.containers(self.place.address, self.place.id):
                _remove(engine, container, self.place.directory)
        except EngineError as error:
            raise ExecutorError(f"the job's container cannot be removed: {error}") from error


def _remove(engine: EngineSocket, container: str, directory: str) -> None:
    """Remove a container; files that its users made in the job's directory become the agent's, which deletes them."""
    if directory and os.geteuid() != 0:
        owner = f"{os.geteuid()}:{os.getegid()}"
        try:
            DockerBox(engine, container).execute(
                ["chown", "-R", owner, directory],
                env={},
                cwd="/",
                user="0",
                stdin=b"",
                on_stdout=_ignore,
                on_stderr=_ignore,
            )
        except ExecutorError as error:
            # The container may be down already; then the files stay, and removing it matters more.
            say(f"files in {directory} could not be given back: {error}")
    engine.remove(container)


def _ignore(data: bytes) -> None:
    """What chown says about files that vanish meanwhile is of no interest."""
