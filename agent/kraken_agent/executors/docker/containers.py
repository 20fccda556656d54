"""Makes a job's container."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Tuple

from kraken_agent.executors.docker.engine import JOB_LABEL, LABEL, EngineError, EngineSocket

_NETWORK = "lab_net"
_OWN_ID = re.compile(r"/containers/([0-9a-f]{64})/")
# Ends by itself some time after the job's own time, should nobody come to remove it. The shell stays as process 1 and
# so collects orphans; an image without `sleep` waits on an input that stays open.
_KEEP_RUNNING = "sleep {seconds} || read -r never; exit 0"
_SPARE_SECONDS = 600


class Wanted(NamedTuple):
    """The container of a job.

    Attributes:
        image: of what it is made.
        owner: address of the agent that it belongs to.
        job: the job's number.
        directory: the job's directory, which is the same path in the container.
        seconds: how long the job may take.
        own_container: id of the container that the agent itself is in; empty when it is in none.
        socket: path of the engine's socket, which steps may use too; empty when the engine is elsewhere.
    """

    image: str
    owner: str
    job: int
    directory: str
    seconds: float
    own_container: str = ""
    socket: str = ""


def make_container(engine: EngineSocket, wanted: Wanted, on_line: Callable[[str], None]) -> Tuple[str, str]:
    """Pull the image when it is missing, make the container and start it.

    Args:
        engine: where.
        wanted: which container.
        on_line: takes lines for the job's log.

    Returns:
        The container's id, and the user that programs run as in it when nobody says; empty means root.

    Raises:
        EngineError: there is no engine, it cannot do it, or there is no SDK to pull with.
    """
    image = engine.image(wanted.image)
    if image is None:
        # Its libraries cost more than a whole job in an image that is there.
        from kraken_agent.executors.docker.pull import pull

        pull(wanted.image, on_line)
        image = engine.image(wanted.image) or {}
    doing = f"a container of image {wanted.image} cannot be made"
    try:
        container = str(engine.post("/containers/create", _specification(engine, wanted))["Id"])
        doing = f"the container of image {wanted.image} cannot be started"
        engine.post(f"/containers/{container}/start")
        if wanted.own_container:
            doing = f"the container cannot join the network {_NETWORK}"
            _join_lab_net(engine, (container, wanted.own_container))
    except EngineError as error:
        raise EngineError(f"{doing}: {error}", error.status) from error
    return container, str((image.get("Config") or {}).get("User") or "")


def own_container_id(mountinfo: Path = Path("/proc/self/mountinfo")) -> str:
    """The id of the Docker container that the agent is in, or an empty text.

    The engine mounts a file of its own, in a directory with the container's id, as each container's /etc/hostname.
    """
    try:
        text = mountinfo.read_text(errors="replace")
    except OSError:
        return ""
    match = next((_OWN_ID.search(line) for line in text.splitlines() if " /etc/hostname " in line), None)
    return match.group(1) if match else ""


def _specification(engine: EngineSocket, wanted: Wanted) -> Dict[str, Any]:
    """The container in the engine's words."""
    mounts = _mounts(engine, wanted)
    return {
        "Image": wanted.image,
        "Cmd": ["/bin/sh", "-c", _KEEP_RUNNING.format(seconds=int(wanted.seconds) + _SPARE_SECONDS)],
        # An image's own entry point would run with our command as its arguments.
        "Entrypoint": [],
        "User": "0",
        "OpenStdin": True,
        "WorkingDir": wanted.directory,
        "Labels": {LABEL: wanted.owner, JOB_LABEL: str(wanted.job)},
        "HostConfig": {"Binds": [f"{source}:{target}" for target, source in mounts.items()]},
    }


def _mounts(engine: EngineSocket, wanted: Wanted) -> Mapping[str, str]:
    """What the container sees of the host: path in the container -> path on the host, or the name of a volume.

    An agent in a container hands its own mounts on, as upstream's does: other paths of its mean nothing to the engine.
    """
    if wanted.own_container:
        own = engine.inspect(wanted.own_container)["Mounts"]
        mounts = {str(entry["Destination"]): str(entry.get("Name") or entry["Source"]) for entry in own}
    else:
        # At the same path, so that `docker run -v $PWD:/src` in a step means what it says.
        mounts = {wanted.directory: wanted.directory}
    if wanted.socket:
        mounts.setdefault(wanted.socket, wanted.socket)
    return mounts


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
    in_swarm = engine.get("/info").get("Swarm", {}).get("LocalNodeState") == "active"
    driver, name = ("overlay", f"kraken_{_NETWORK}") if in_swarm else ("bridge", _NETWORK)
    wanted = {"Name": name, "Driver": driver, "Attachable": True, "CheckDuplicate": True}
    return str(engine.post("/networks/create", wanted)["Id"])
