"""Makes a job's container."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Tuple

from kraken_agent.executors.docker.engine import INSTALLATION_LABEL, JOB_LABEL, LABEL, EngineError, EngineSocket
from kraken_agent.executors.docker.pull import pull

_NETWORK = "lab_net"
# A container with one of these has no network of its own, so the engine connects it to none.
_SHARED_NETWORKS = ("host", "none", "container:")
_OWN_ID = re.compile(r"/containers/([0-9a-f]{64})/")
# Ends by itself some time after the job's own time, should nobody come to remove it. The shell stays as process 1 and
# so collects orphans; an image without `sleep` waits on an input that stays open.
_KEEP_RUNNING = "sleep {seconds} || read -r never; exit 0"
_SPARE_SECONDS = 600


class Wanted(NamedTuple):
    """The container of a job.

    Attributes:
        image: of what it is made.
        labels: see `labels`.
        directory: the job's directory, which is the same path in the container.
        seconds: how long the job may take.
        own_container: id of the container that the agent itself is in; empty when it is in none.
        socket: path of the engine's socket when steps may use it too; else empty.
    """

    image: str
    labels: Mapping[str, str]
    directory: str
    seconds: float
    own_container: str = ""
    socket: str = ""


class Made(NamedTuple):
    """A container that runs.

    Attributes:
        id: its id.
        user: whom programs run as in it when nobody says; empty means root.
        shares_directory: whether the job's directory in it is the agent's.
    """

    id: str
    user: str
    shares_directory: bool


def labels(installation: str, address: str, job: int) -> Dict[str, str]:
    """Return what a container says about whom it belongs to."""
    return {INSTALLATION_LABEL: installation, LABEL: address, JOB_LABEL: str(job)}


def make_container(
    engine: EngineSocket,
    wanted: Wanted,
    on_line: Callable[[str], None],
    on_image: Callable[[str, bool], None] = lambda identity, is_pulled: None,
) -> Made:
    """Pull the image when it is missing, make the container and start it.

    Args:
        engine: where.
        wanted: which container.
        on_line: takes lines for the job's log.
        on_image: told the image's id, and whether it was pulled for this container.

    Raises:
        EngineError: there is no engine, or it cannot do it.
    """
    found = engine.image(wanted.image)
    if found is None:
        pull(engine, wanted.image, on_line)
    image = found or engine.image(wanted.image) or {}
    on_image(str(image.get("Id") or ""), found is None)
    own = engine.inspect(wanted.own_container) if wanted.own_container else {}
    directory = _directory_on_host(wanted.directory, own)
    doing = f"a container of image {wanted.image} cannot be made"
    try:
        container = str(engine.post("/containers/create", _specification(wanted, directory))["Id"])
        doing = f"the container of image {wanted.image} cannot be started"
        engine.post(f"/containers/{container}/start")
        if own and not _shares_network(own):
            doing = f"the container cannot join the network {_NETWORK}"
            _join_lab_net(engine, (container, wanted.own_container))
    except EngineError as error:
        raise EngineError(f"{doing}: {error}", error.status) from error
    return Made(container, str((image.get("Config") or {}).get("User") or ""), bool(directory))


def own_container_id(mountinfo: Path = Path("/proc/self/mountinfo")) -> str:
    """Return the id of the Docker container that the agent is in, or an empty text.

    The engine mounts a file of its own, in a directory with the container's id, as each container's /etc/hostname.
    """
    try:
        text = mountinfo.read_text(errors="replace")
    except OSError:
        return ""
    match = next((_OWN_ID.search(line) for line in text.splitlines() if " /etc/hostname " in line), None)
    return match.group(1) if match else ""


def _specification(wanted: Wanted, directory: str) -> Dict[str, Any]:
    """Return the container in the engine's words."""
    # At the same path, so that `docker run -v $PWD:/src` in a step means what it says.
    binds = [f"{directory}:{wanted.directory}"] if directory else []
    if wanted.socket:
        binds.append(f"{wanted.socket}:{wanted.socket}")
    return {
        "Image": wanted.image,
        "Cmd": ["/bin/sh", "-c", _KEEP_RUNNING.format(seconds=int(wanted.seconds) + _SPARE_SECONDS)],
        # An image's own entry point would run with our command as its arguments.
        "Entrypoint": [],
        "User": "0",
        # Without it the input is at its end at once, and `read` of an image without `sleep` would return.
        "OpenStdin": True,
        "WorkingDir": wanted.directory,
        "Labels": dict(wanted.labels),
        "HostConfig": {"Binds": binds},
    }


def _directory_on_host(directory: str, own: Mapping[str, Any]) -> str:
    """Return where the job's directory is on the engine's host; empty when the engine cannot see it.

    An agent in a container has it on the host only when it is below one of the container's mounts. The other mounts are
    not the job's business: the engine's socket may be among them, and the files of other jobs.

    Args:
        directory: as the agent sees it.
        own: what the engine knows about the agent's own container; empty when it is in none.
    """
    if not own:
        return directory
    mounts = {os.path.normpath(str(entry["Destination"])): str(entry["Source"]) for entry in own.get("Mounts") or ()}
    parents = [place for place in mounts if directory == place or directory.startswith(place.rstrip("/") + "/")]
    if not parents:
        return ""
    nearest = max(parents, key=len)
    return os.path.join(mounts[nearest], os.path.relpath(directory, nearest))


def _shares_network(own: Mapping[str, Any]) -> bool:
    """Return whether the agent's container has somebody else's network, as with the network `host`, or none.

    Jobs then have the engine's usual network, as those of an agent that is in no container.
    """
    mode = str((own.get("HostConfig") or {}).get("NetworkMode") or "")
    return mode.startswith(_SHARED_NETWORKS)


def _join_lab_net(engine: EngineSocket, containers: Tuple[str, str]) -> None:
    """Connect the job's container and the agent's own to one network, which is made when there is none."""
    named: List[str] = [str(each["Id"]) for each in engine.get("/networks") if str(each["Name"]).endswith(_NETWORK)]
    network = named[0] if named else _make_lab_net(engine)
    for container in containers:
        _connect(engine, network, container)


def _connect(engine: EngineSocket, network: str, container: str) -> None:
    try:
        engine.post(f"/networks/{network}/connect", {"Container": container})
    except EngineError as error:
        # The agent's own container is connected since its first job.
        if "already" not in str(error).lower():
            raise


def _make_lab_net(engine: EngineSocket) -> str:
    # As Kraken's own agent does: in a swarm only an overlay network spans the nodes.
    in_swarm = engine.get("/info").get("Swarm", {}).get("LocalNodeState") == "active"
    driver, name = ("overlay", f"kraken_{_NETWORK}") if in_swarm else ("bridge", _NETWORK)
    wanted = {"Name": name, "Driver": driver, "Attachable": True, "CheckDuplicate": True}
    return str(engine.post("/networks/create", wanted)["Id"])
