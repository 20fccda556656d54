"""The Docker engine, as far as labs need it. The only module of the lab that imports the Docker SDK."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container

from kraken_fleet.errors import LabError
from kraken_fleet.lab.host_image import Recipe
from kraken_fleet.lab.systemd_hosts import HOST_LABEL, LABEL, SystemdHosts, as_lab_error, digest_of

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

_as_lab_error = partial(as_lab_error, DockerException)


class Engine:
    """One Docker engine: the one that DOCKER_HOST names, or this machine's.

    Raises:
        LabError: it cannot be reached.
    """

    def __init__(self) -> None:
        try:
            # The engine answers an import only when it has unpacked the archive.
            self._client = docker.from_env(timeout=_IMPORT_SECONDS)
            self._client.ping()
        except DockerException as error:
            hint = "Install Docker (apt-get install docker.io), start it, and be root or in the group docker"
            raise LabError(f"There is no Docker engine: {error}", hint=hint) from error

    def has_image(self, image: str) -> bool:
        try:
            self._client.images.get(image)
        except ImageNotFound:
            return False
        return True

    def import_image(self, image: str, archive: Path) -> None:
        repository, _, tag = image.partition(":")
        with _as_lab_error(f"The image {image} could not be made"):
            self._client.api.import_image_from_file(
                str(archive), repository=repository, tag=tag, changes=['CMD ["/sbin/init"]']
            )
        if not self.has_image(image):
            raise LabError(f"The engine did not keep the image {image}")

    def create_network(self, lab: Path) -> str:
        name = _prefix(lab)
        with _as_lab_error(f"The network {name} could not be made"):
            network = self._client.networks.create(
                name, driver="bridge", labels={LABEL: str(lab)}, check_duplicate=True
            )
            network.reload()
        return str(network.attrs["IPAM"]["Config"][0]["Gateway"])

    def start_hosts(self, lab: Path, image: str, names: Sequence[str], files: Mapping[str, str]) -> list[str]:
        # One by one, so that the addresses come in order.
        return [self._start(lab, image, name, files) for name in names]

    def output(self, lab: Path, name: str, *command: str) -> str | None:
        found = self._containers(lab, name)
        if not found:
            return None
        try:
            result = found[0].exec_run(list(command))
        except APIError:
            return None
        printed = result.output if isinstance(result.output, bytes) else b"".join(result.output)
        return printed.decode(errors="replace") if result.exit_code == 0 else None

    def remove_all(self, lab: Path) -> None:
        with _as_lab_error("A host cannot be removed"):
            for container in self._containers(lab):
                _remove(container)
            for network in self._client.networks.list(filters={"label": f"{LABEL}={lab}"}):
                network.remove()

    def _containers(self, lab: Path, name: str = "") -> list[Container]:
        """Return those of a lab, or of its host with that name, also when they do not run."""
        labels = [f"{LABEL}={lab}", *([f"{HOST_LABEL}={name}"] if name else [])]
        with _as_lab_error("The engine does not list containers"):
            return self._client.containers.list(all=True, filters={"label": labels})

    def _start(self, lab: Path, image: str, name: str, files: Mapping[str, str]) -> str:
        """Start one host and return its address."""
        with _as_lab_error(f"The host {name} could not be made"):
            container = self._client.containers.create(
                image,
                ["/bin/sh", "-c", _BOOT],
                name=f"{_prefix(lab)}-{name}",
                hostname=name,
                labels={LABEL: str(lab), HOST_LABEL: name},
                network=_prefix(lab),
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
        (network,) = container.attrs["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])


def driver(variant: str = "") -> SystemdHosts:
    """Return the driver, as `load_driver` wants it; `variant` is what follows the colon of its name."""
    return SystemdHosts(Engine(), Recipe.parse(variant) if variant else Recipe())


def _prefix(lab: Path) -> str:
    """Return the name of the lab's network and the beginning of its containers' names."""
    return f"kraken-{lab.name}-{digest_of(lab)}"


def _remove(container: Container) -> None:
    try:
        container.remove(force=True, v=True)
    except NotFound:
        return  # somebody else was faster


def _archive(files: Mapping[str, str]) -> bytes:
    """Return a tar file with files of mode 0600 in directories of mode 0700."""
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
