"""Makes and removes containers on LXD through `pylxd`: the only module that imports it, and only in a job's children.

Images are found by alias or fingerprint among those that the daemon has, else by alias on a remote: the one that a
prefix names (`ubuntu:22.04`), or the one that KRAKEN_LXD_REMOTE names.
"""

from __future__ import annotations

import importlib
import os
import time
from types import TracebackType
from typing import Any, Callable, Dict, Optional, Tuple, Type

from kraken_agent.executors.base import ExecutorError

INSTALLATION_KEY = "user.kraken.installation"

_REMOTES = {
    "images": "https://images.lxd.canonical.com",
    "ubuntu": "https://cloud-images.ubuntu.com/releases",
    "ubuntu-daily": "https://cloud-images.ubuntu.com/daily",
}
_NETWORK = "lab_net"
_RUNNING_SECONDS = 30.0

OnLine = Callable[[str], None]


class LxdClient:
    """The daemon on this machine.

    Raises:
        ExecutorError: there is no pylxd, or no daemon that lets this user in.
    """

    def __init__(self) -> None:
        try:
            pylxd = importlib.import_module("pylxd")
            exceptions = importlib.import_module("pylxd.exceptions")
        except ImportError as error:
            raise ExecutorError(f"LXD jobs need the Python package pylxd: {error}") from error
        # What pylxd raises: its own errors, and those of the HTTP library under it, which are OSErrors.
        self._faults = (exceptions.LXDAPIException, exceptions.ClientConnectionFailed, OSError)
        self._not_found = exceptions.NotFound
        with self._about("the LXD daemon cannot be reached"):
            self._client = pylxd.Client()
        if not self._client.trusted:
            raise ExecutorError("the LXD daemon does not trust this user; it must be in the group lxd")

    def make(self, name: str, image: str, installation: str, on_line: OnLine) -> Tuple[str, bool]:
        """Make a container and start it.

        Returns:
            the fingerprint of its image, and whether the daemon has fetched that for this container.

        Args:
            name: its name.
            image: alias or fingerprint, perhaps with a remote before it.
            installation: the one that it belongs to.
            on_line: takes lines for the job's log.
        """
        on_line(f"making container {name} of image {image}")
        with self._about(f"a container of image {image} cannot be made"):
            wanted = {
                "name": name,
                "type": "container",
                "source": self._source(image),
                "config": {INSTALLATION_KEY: installation},
            }
            present = {found.fingerprint for found in self._client.images.all()}
            instance = self._client.instances.create({**wanted, "devices": self._devices(on_line)}, wait=True)
        with self._about(f"the container of image {image} cannot be started"):
            instance.start(wait=True)
            _wait_until_it_runs(instance)
        fingerprint = str(instance.config.get("volatile.base_image") or "")
        return fingerprint, bool(fingerprint) and fingerprint not in present

    def remove(self, name: str) -> None:
        """End a container at once and remove it; one that is gone is fine."""
        with self._about(f"container {name} cannot be removed"):
            try:
                instance = self._client.instances.get(name)
                if instance.status != "Stopped":
                    instance.stop(force=True, wait=True)
                instance.delete(wait=True)
            except self._not_found:
                return

    def _source(self, image: str) -> Dict[str, str]:
        """Return where an image comes from, in the daemon's words."""
        remote, colon, alias = image.partition(":")
        if colon and remote in _REMOTES:
            return _remote_source(_REMOTES[remote], alias)
        present = self._client.images.all()
        if any(entry["name"] == image for found in present for entry in found.aliases):
            return {"type": "image", "alias": image}
        fingerprints = [found.fingerprint for found in present if found.fingerprint.startswith(image)]
        # Like LXD's own client, a fingerprint may be cut short as long as only one image begins so.
        if len(fingerprints) == 1:
            return {"type": "image", "fingerprint": fingerprints[0]}
        return _remote_source(os.environ.get("KRAKEN_LXD_REMOTE") or _REMOTES["images"], image)

    def _devices(self, on_line: OnLine) -> Dict[str, Dict[str, str]]:
        """Return a network card for the container, unless the daemon's default profile has one."""
        profile = self._client.profiles.get("default")
        if any(device.get("type") == "nic" for device in profile.devices.values()):
            return {}
        name = next(
            (net.name for net in self._client.networks.all() if net.managed and net.name.endswith(_NETWORK)), ""
        )
        if not name:
            try:
                name = self._client.networks.create(_NETWORK).name
            except self._faults as error:
                on_line(f"the container has no network: {_NETWORK} cannot be made: {error}")
                return {}
        return {"eth0": {"type": "nic", "nictype": "bridged", "parent": name, "name": "eth0"}}

    def _about(self, what: str) -> _Translation:
        return _Translation(self._faults, what)


class _Translation:
    """Turns pylxd's errors into ExecutorError within a `with` block."""

    def __init__(self, faults: Tuple[Type[BaseException], ...], what: str) -> None:
        self._faults = faults
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if isinstance(error, self._faults):
            raise ExecutorError(f"{self._what}: {error}") from error


def _wait_until_it_runs(instance: Any) -> None:
    deadline = time.monotonic() + _RUNNING_SECONDS
    instance.sync()
    while instance.status != "Running":
        if time.monotonic() > deadline:
            raise ExecutorError(f"container {instance.name} does not run: it is {instance.status}")
        time.sleep(0.1)
        instance.sync()


def _remote_source(server: str, alias: str) -> Dict[str, str]:
    return {"type": "image", "mode": "pull", "server": server, "protocol": "simplestreams", "alias": alias}
