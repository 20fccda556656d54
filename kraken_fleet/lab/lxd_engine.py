"""The LXD daemon of this machine, as far as labs need it. The only module of the lab that imports pylxd."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import secrets
import sys
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath
from typing import Any

from pylxd import Client
from pylxd.exceptions import ClientConnectionFailed, LXDAPIException, NotFound
from pylxd.models import Image, Instance
from requests.exceptions import RequestException

from kraken_fleet.errors import LabError
from kraken_fleet.lab.host_image import Recipe
from kraken_fleet.lab.systemd_hosts import HOST_LABEL, LABEL, SystemdHosts, as_lab_error, digest_of

_MARK = f"user.{LABEL}"
_ROUTES = Path("/proc/net/route")
_CHUNK = 1 << 20
_AT_ONCE = 4
_TRIES = 500
_FIRST_HOST = 11
_MOST = 200
# An empty unit file masks a unit. What this one mounts belongs to the machine, and not to a container of its own user.
_MASKED = {"/etc/systemd/system/systemd-binfmt.service": ""}

_as_lab_error = partial(as_lab_error, (LXDAPIException, RequestException))


class Engine:
    """The LXD daemon behind its usual socket, or the one below LXD_DIR.

    Raises:
        LabError: it cannot be reached.
    """

    def __init__(self) -> None:
        try:
            self._client = Client()
        except (ClientConnectionFailed, RequestException) as error:
            hint = "Install LXD (apt-get install lxd), run `lxd init --minimal`, and be root or in the group lxd"
            raise LabError(f"There is no LXD daemon: {error}", hint=hint) from error

    def has_image(self, image: str) -> bool:
        with _as_lab_error("LXD does not list images"):
            return bool(self._client.images.exists(_alias(image), alias=True))

    def import_image(self, image: str, archive: Path) -> None:
        metadata = _metadata(image)
        with _as_lab_error(f"The image {image} could not be made"):
            try:
                with archive.open("rb") as root:
                    made = self._client.images.create(root, metadata=io.BytesIO(metadata))
            except LXDAPIException as error:
                # LXD refuses a content that it has: another lab brought it at the same time, or was cut off before
                # it could give it the name.
                made = self._image_of(metadata, archive, error)
            try:
                made.add_alias(_alias(image), "kraken-fleet lab host")
            except LXDAPIException:
                if not self.has_image(image):
                    raise

    def create_network(self, lab: Path) -> str:
        gateway = free_subnet(_ROUTES.read_text(encoding="ascii"))[1]
        config = {
            "ipv4.address": f"{gateway}/24",
            "ipv4.nat": "true",
            "ipv6.address": "none",
            _MARK: str(lab),
        }
        with _as_lab_error(f"The network {_prefix(lab)} could not be made"):
            self._client.networks.create(_prefix(lab), description="kraken-fleet lab", type="bridge", config=config)
        return str(gateway)

    def start_hosts(self, lab: Path, image: str, names: Sequence[str], files: Mapping[str, str]) -> list[str]:
        if len(names) > _MOST:
            raise LabError(f"{len(names)} hosts are more than a lab's network has room for", hint=f"At most {_MOST}")
        gateway = self._gateway(lab)
        addresses = [gateway + _FIRST_HOST - 1 + number for number in range(len(names))]
        pool = self._pool()
        with _as_lab_error("A host could not be made"):
            # All at once: LXD unpacks the image for each.
            begun = [
                self._client.api.instances.post(json=_instance(lab, image, name, pool, address, gateway))
                for name, address in zip(names, addresses, strict=True)
            ]
            for answer in begun:
                self._client.operations.wait_for_operation(answer.json()["operation"])
            for name in names:
                instance = self._client.instances.get(_instance_name(lab, name))
                _put(instance, {**files, **_MASKED}, mode=0o600)
                _put(instance, _network_files(name, gateway), mode=0o644)
                instance.start(wait=True)
        return [str(address) for address in addresses]

    def output(self, lab: Path, name: str, *command: str) -> str | None:
        try:
            done = self._client.instances.get(_instance_name(lab, name)).execute(list(command))
        except LXDAPIException:
            return None
        return str(done.stdout) if done.exit_code == 0 else None

    def remove_all(self, lab: Path) -> None:
        with _as_lab_error("A host cannot be removed"):
            self._let_begun_end(lab)
            everyones = self._client.instances.all(recursion=1)
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(_remove, [each for each in everyones if each.config.get(_MARK) == str(lab)]))
            for network in self._client.networks.all():
                if network.managed and network.config.get(_MARK) == str(lab):
                    network.delete(wait=True)

    def _gateway(self, lab: Path) -> IPv4Address:
        with _as_lab_error("The lab's network is not there"):
            return IPv4Address(self._client.networks.get(_prefix(lab)).config["ipv4.address"].partition("/")[0])

    def _pool(self) -> str:
        """Say where hosts are stored: the pool called default, or another."""
        with _as_lab_error("LXD does not list storage pools"):
            names = [str(pool.name) for pool in self._client.storage_pools.all()]
        if not names:
            raise LabError("LXD has no storage pool", hint="Make one with `lxd init --minimal`")
        return "default" if "default" in names else names[0]

    def _let_begun_end(self, lab: Path) -> None:
        """Wait for instances that an interrupted lab has begun to make, which LXD does not list with their mark."""
        running = self._client.api.operations.get(params={"recursion": 1}).json()["metadata"].get("running", [])
        for operation in running:
            about = (operation.get("resources") or {}).get("instances") or []
            if any(PurePosixPath(url).name.startswith(f"{_prefix(lab)}-") for url in about):
                with suppress(LXDAPIException):  # it failed, or was over before we asked
                    self._client.operations.wait_for_operation(operation["id"])

    def _image_of(self, metadata: bytes, archive: Path, error: LXDAPIException) -> Image:
        digest = hashlib.sha256(metadata)
        with archive.open("rb") as root:
            while chunk := root.read(_CHUNK):
                digest.update(chunk)
        try:
            return self._client.images.get(digest.hexdigest())
        except NotFound:
            raise error from None


def driver(variant: str = "") -> SystemdHosts:
    """Return the driver, as `load_driver` wants it; `variant` is what follows the colon of its name."""
    return SystemdHosts(Engine(), Recipe.parse(variant) if variant else Recipe())


def free_subnet(routes: str) -> IPv4Network:
    """Return a network of 256 addresses which this machine has no route to.

    LXD's own search also wants it to answer no ping, which fails where a gateway answers for all addresses.

    Args:
        routes: the text of /proc/net/route.

    Raises:
        LabError: none was found: the machine has routes to most of 10.0.0.0/8.
    """
    known = [network for line in routes.splitlines()[1:] if (network := _route(line)).prefixlen]
    for number in secrets.SystemRandom().sample(range(1 << 16), _TRIES):
        candidate = IPv4Network(((10 << 24) + (number << 8), 24))
        if not any(candidate.overlaps(network) for network in known):
            return candidate
    raise LabError("There is no free network for the lab's hosts", hint="Leave some of 10.0.0.0/8 without a route")


def _route(line: str) -> IPv4Network:
    """Return the destination of a line of /proc/net/route: hexadecimal, in this machine's own order of bytes."""
    columns = line.split()
    address, mask = (int(columns[number], 16).to_bytes(4, sys.byteorder) for number in (1, 7))
    return IPv4Network((address, int.from_bytes(mask, "big").bit_count()))


def _prefix(lab: Path) -> str:
    """Return the name of the lab's network, as long as one of an interface may be. Instances' names begin with it."""
    return f"kraken-{digest_of(lab)}"


def _instance_name(lab: Path, name: str) -> str:
    return f"{_prefix(lab)}-{name}"


def _instance(
    lab: Path, image: str, name: str, pool: str, address: IPv4Address, gateway: IPv4Address
) -> dict[str, Any]:
    """Return what LXD is asked to make; of its profiles it takes nothing."""
    network = IPv4Network(f"{gateway}/24", strict=False)
    return {
        "name": _instance_name(lab, name),
        "type": "container",
        "source": {"type": "image", "alias": _alias(image)},
        "profiles": [],
        "config": {
            _MARK: str(lab),
            f"user.{HOST_LABEL}": name,
            "security.nesting": "true",  # systemd confines services by namespaces of their own
            # The address is there before the first process is: no host waits for DHCP.
            "raw.lxc": f"lxc.net.0.ipv4.address = {address}/24 {network.broadcast_address}\n"
            f"lxc.net.0.ipv4.gateway = {gateway}\n",
        },
        "devices": {
            "root": {"type": "disk", "path": "/", "pool": pool},
            "eth0": {"type": "nic", "name": "eth0", "network": _prefix(lab), "ipv4.address": str(address)},
        },
    }


def _network_files(name: str, gateway: IPv4Address) -> dict[str, str]:
    """Write the host's network files; LXD's bridge answers for names too."""
    return {
        "/etc/hostname": f"{name}\n",
        "/etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {name}\n",
        "/etc/resolv.conf": f"nameserver {gateway}\n",
    }


def _put(instance: Instance, files: Mapping[str, str], *, mode: int) -> None:
    for path, content in files.items():
        if path.startswith("/root/"):
            instance.files.mk_dir(str(PurePosixPath(path).parent), mode=0o700)
        instance.files.put(path, content.encode(), mode=mode)


def _remove(instance: Instance) -> None:
    with suppress(NotFound):  # somebody else was faster
        if instance.status != "Stopped":
            instance.stop(force=True, wait=True)
        instance.delete(wait=True)


def _alias(image: str) -> str:
    """Return the image's name as LXD takes it: a colon would name a remote."""
    return re.sub(r"[/:]", "-", image)


def _metadata(image: str) -> bytes:
    """Return what LXD wants to know of an image, as a tar file which is always the same for one image."""
    about = {
        "architecture": platform.machine(),
        # LXD knows an image by the digest of metadata and root file system: with a fixed date the same recipe is the
        # same image.
        "creation_date": 1,
        "properties": {"name": _alias(image), "description": "kraken-fleet lab host"},
    }
    data = json.dumps(about).encode()  # JSON is YAML
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("metadata.yaml")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
