"""The executor `lxd`: a job's steps run in a container of the image that the job's system names."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, List, Optional

from kraken_agent.executors.base import ExecutorError
from kraken_agent.executors.container.executor import ContainerExecutor, say_it_runs
from kraken_agent.executors.container.programs import Program, run_as_root, survive_broken_pipes
from kraken_agent.executors.lxd.client import INSTALLATION_KEY, LxdClient
from kraken_agent.executors.lxd.daemon import ask
from kraken_agent.images import LXD, Record
from kraken_agent.tools.output import say

_ANSWER_SECONDS = 2.0


class LxdBox:
    """One running container.

    Args:
        name: the container's.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._uids: Dict[str, int] = {"": 0, "root": 0}

    def execute(self, program: Program) -> int:
        """Run a program to its end; return its exit code."""
        # ws4py comes with pylxd, and a host that has neither can still be asked what it has.
        from kraken_agent.executors.lxd.programs import run

        return run(self._name, program, self._uid(program.user))

    def unpack(self, archive: bytes) -> None:
        """Unpack a tar archive at the root."""
        run_as_root(self, ["tar", "-x", "-f", "-", "-C", "/"], archive)

    def _uid(self, user: str) -> int:
        """Return the number of a user, which is all that the daemon takes."""
        if user.isdigit():
            return int(user)
        if user not in self._uids:
            try:
                self._uids[user] = int(run_as_root(self, ["id", "-u", user]))
            except ExecutorError as error:
                raise ExecutorError(f"the step wants user {user}, whom the image does not know: {error}") from error
        return self._uids[user]


class LxdExecutor(ContainerExecutor):
    """Steps run in a container; the job's directory in it has the same path as on the host, but is not shared."""

    name = "lxd"
    package = "pylxd"

    @classmethod
    def version(cls) -> str:
        """Return the daemon's version."""
        return str(ask("GET", "/1.0", timeout=_ANSWER_SECONDS)["environment"]["server_version"])

    @classmethod
    def containers(cls, installation: str) -> List[str]:
        """Return the containers of an installation's jobs, running or not."""
        found = ask("GET", "/1.0/containers?recursion=1")
        return [str(each["name"]) for each in found if each["config"].get(INSTALLATION_KEY) == installation]

    @classmethod
    def remove(cls, container: str) -> None:
        """End a container and remove it with everything in it; one that is gone is fine."""
        LxdClient().remove(container)

    def prepare(self) -> Optional[Dict[str, Any]]:
        """Get the image, start the container."""
        survive_broken_pipes()
        name = self._container_name()
        image = str(self.place.job["system"])
        fingerprint, is_pulled = LxdClient().make(name, image, self.place.installation, say)
        Record(self.place.data_dir).note(LXD, image, fingerprint, is_pulled=is_pulled)
        say_it_runs(f"container {name}")
        run_as_root(LxdBox(name), ["mkdir", "-p", self.place.directory])
        return {"container": name}

    def box(self) -> LxdBox:
        """Return the job's container."""
        return LxdBox(self._container_name())

    def cleanup(self) -> None:
        """Remove the job's container."""
        survive_broken_pipes()
        self.remove(self._container_name())

    def _container_name(self) -> str:
        """Return a name that tells agents apart, since one daemon may serve several."""
        return f"kraken-job-{self.place.id}-{hashlib.sha256(self.place.installation.encode()).hexdigest()[:8]}"
