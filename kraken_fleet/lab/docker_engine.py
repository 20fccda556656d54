"""The Docker engine, as far as labs need it. The only module of the lab that imports the Docker SDK."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container

from kraken_fleet.errors import LabError

# On all that a lab makes: the lab's directory.
LABEL = "kraken_fleet.lab"
_HOST_LABEL = "kraken_fleet.host"
_IMPORT_SECONDS = 600
# The engine shows a container its own part of the control groups, read-only; systemd has to write there. With the
# machine's /sys/fs/cgroup mounted instead, all hosts would be in the same control groups as the machine itself, and
# systemd 257 would remove those of the engine.
_BOOT = """
for mounted in $(while read -r _ where _; do echo "$where"; done </proc/mounts); do
    case $mounted in /sys/fs/cgroup*) mount -o remount,bind,rw "$mounted" ;; esac
done
exec /sbin/init
"""


class Engine:
    """One Docker engine: the one that DOCKER_HOST names, or this machine's.

    Raises:
        LabError: it cannot be reached.
    """

    def __init__(self) -> None:
        try:
            self._client = docker.from_env(timeout=_IMPORT_SECONDS)
            self._client.ping()
        except DockerException as error:
            hint = "Install Docker (apt-get install docker.io), start it, and be root or in the group docker"
            raise LabError(f"there is no Docker engine: {error}", hint=hint) from error

    def has_image(self, name: str) -> bool:
        """Whether an image is there already."""
        try:
            self._client.images.get(name)
        except ImageNotFound:
            return False
        return True

    def import_image(self, name: str, archive: Path) -> None:
        """Make an image from a tar file of a root file system."""
        repository, _, tag = name.partition(":")
        with _as_lab_error(f"the image {name} could not be made"):
            self._client.api.import_image_from_file(
                str(archive), repository=repository, tag=tag, changes=['CMD ["/sbin/init"]']
            )
        if not self.has_image(name):
            raise LabError(f"the engine did not keep the image {name}")

    def create_network(self, name: str, owner: str) -> str:
        """Make a bridge network for a lab; returns the address of this machine in it."""
        with _as_lab_error(f"the network {name} could not be made"):
            network = self._client.networks.create(name, driver="bridge", labels={LABEL: owner}, check_duplicate=True)
            network.reload()
        return str(network.attrs["IPAM"]["Config"][0]["Gateway"])

    def start_host(
        self, image: str, name: str, host: str, network: str, owner: str, files: Mapping[str, str]
    ) -> Container:
        """Start a container with systemd as its first process.

        Args:
            name: of the container; `host` is what it calls itself.
            files: absolute path -> content, put there before anything runs, for root's eyes only.
        """
        with _as_lab_error(f"the host {host} could not be made"):
            container = self._client.containers.create(
                image,
                ["/bin/sh", "-c", _BOOT],
                name=name,
                hostname=host,
                labels={LABEL: owner, _HOST_LABEL: host},
                network=network,
                cap_add=["SYS_ADMIN"],  # systemd mounts; the engine's own profiles would forbid it
                security_opt=["seccomp=unconfined", "apparmor=unconfined"],
                tmpfs={"/run": "", "/run/lock": ""},
                cgroupns="private",
                environment={"container": "docker"},
                stop_signal="SIGRTMIN+3",
            )
            container.put_archive("/", _archive(files))
            container.start()
            container.reload()
        return container

    def address(self, container: Container) -> str:
        """The IP address of a container in its only network."""
        (network,) = container.attrs["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    def output(self, container: Container, *command: str) -> str | None:
        """What a command inside prints, or None when it fails or the container does not run."""
        try:
            result = container.exec_run(list(command))
        except APIError:
            return None
        printed = result.output if isinstance(result.output, bytes) else b"".join(result.output)
        return printed.decode(errors="replace") if result.exit_code == 0 else None

    def hosts(self, owner: str) -> dict[str, Container]:
        """The containers of a lab by the name of the host, also those that do not run."""
        with _as_lab_error("the engine does not list containers"):
            found = self._client.containers.list(all=True, filters={"label": f"{LABEL}={owner}"})
        return {container.labels[_HOST_LABEL]: container for container in found}

    def remove_all(self, owner: str) -> None:
        """Remove containers and networks of a lab."""
        with _as_lab_error("a host would not go"):
            for container in self.hosts(owner).values():
                _remove(container)
            for network in self._client.networks.list(filters={"label": f"{LABEL}={owner}"}):
                network.remove()


def _remove(container: Container) -> None:
    try:
        container.remove(force=True, v=True)
    except NotFound:
        return  # somebody else was faster


def _archive(files: Mapping[str, str]) -> bytes:
    """A tar file with files of mode 0600 in directories of mode 0700."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            folder = tarfile.TarInfo(str(Path(path).parent).lstrip("/"))
            folder.type, folder.mode = tarfile.DIRTYPE, 0o700
            archive.addfile(folder)
            data = content.encode()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


@contextmanager
def _as_lab_error(what: str) -> Iterator[None]:
    try:
        yield
    except DockerException as error:
        raise LabError(f"{what}: {error}") from error
