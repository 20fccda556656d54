"""Makes a job's container through the `docker` SDK: the only module that imports it.

The SDK knows registries, their credentials and every version of the engine's API. It is imported only in the child that
prepares a job, so the idle agent never holds it in memory, and a step does not wait for it.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple, Type

from kraken_agent.executors.docker_socket import JOB_LABEL, LABEL, EngineError

_TIMEOUT_SECONDS = 60
_DEFAULT_TAG = "latest"
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


def make_container(wanted: Wanted, on_line: Callable[[str], None]) -> Tuple[str, str]:
    """Pull the image when it is missing, make the container and start it.

    Args:
        wanted: which container.
        on_line: takes lines for the job's log.

    Returns:
        The container's id, and the user that programs run as in it when nobody says; empty means root.

    Raises:
        EngineError: there is no SDK or no engine, or the engine cannot do it.
    """
    try:
        sdk = importlib.import_module("docker")
    except ImportError as error:
        raise EngineError(f"docker jobs need the Python package docker: {error}") from error
    faults: Tuple[Type[BaseException], ...] = (sdk.errors.DockerException, OSError)
    doing = "the Docker engine cannot be reached"
    try:
        client = sdk.from_env(timeout=_TIMEOUT_SECONDS).api
        doing = f"image {wanted.image} cannot be pulled"
        image = _image(sdk, client, wanted.image, on_line)
        doing = f"a container of image {wanted.image} cannot be made"
        container = _create(client, wanted)
        doing = f"the container of image {wanted.image} cannot be started"
        client.start(container)
        if wanted.own_container:
            doing = f"the container cannot join the network {_NETWORK}"
            _join_lab_net(sdk, client, (container, wanted.own_container))
        on_line(f"container {container[:12]} of image {wanted.image} is running")
        return container, str((image.get("Config") or {}).get("User") or "")
    except faults as error:
        raise EngineError(f"{doing}: {getattr(error, 'explanation', '') or error}") from error


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


def _image(sdk: Any, client: Any, name: str, on_line: Callable[[str], None]) -> Mapping[str, Any]:
    """What the engine knows about an image, which is there afterwards."""
    try:
        found: Mapping[str, Any] = client.inspect_image(name)
    except sdk.errors.ImageNotFound:
        on_line(f"pulling image {name}")
        repository, tag = sdk.utils.parse_repository_tag(name)
        for event in client.pull(repository, tag=tag or _DEFAULT_TAG, stream=True, decode=True):
            if "error" in event:
                raise EngineError(f"image {name} cannot be pulled: {event['error']}") from None
            # Progress bars are for terminals; in a log one line for each step is enough.
            if "progress" not in event and event.get("status"):
                on_line(f"{event.get('id', '')} {event['status']}".strip())
        found = client.inspect_image(name)
    return found


def _create(client: Any, wanted: Wanted) -> str:
    keep = _KEEP_RUNNING.format(seconds=int(wanted.seconds) + _SPARE_SECONDS)
    mounts = _mounts(client, wanted)
    made = client.create_container(
        wanted.image,
        command=["/bin/sh", "-c", keep],
        # An image's own entry point would run with our command as its arguments.
        entrypoint="",
        user="0",
        stdin_open=True,
        working_dir=wanted.directory,
        labels={LABEL: wanted.owner, JOB_LABEL: str(wanted.job)},
        host_config=client.create_host_config(binds=[f"{source}:{target}" for target, source in mounts.items()]),
    )
    return str(made["Id"])


def _mounts(client: Any, wanted: Wanted) -> Dict[str, str]:
    """What the container sees of the host: path in the container -> path on the host, or the name of a volume.

    An agent in a container hands its own mounts on, as upstream's does: other paths of its mean nothing to the engine.
    """
    if wanted.own_container:
        own = client.inspect_container(wanted.own_container)["Mounts"]
        mounts = {str(entry["Destination"]): str(entry.get("Name") or entry["Source"]) for entry in own}
    else:
        # At the same path, so that `docker run -v $PWD:/src` in a step means what it says.
        mounts = {wanted.directory: wanted.directory}
    if wanted.socket:
        mounts.setdefault(wanted.socket, wanted.socket)
    return mounts


def _join_lab_net(sdk: Any, client: Any, containers: Sequence[str]) -> None:
    """Connect the job's container and the agent's own to one network, which is made when there is none."""
    network: Optional[str] = None
    for entry in client.networks():
        if str(entry["Name"]).endswith(_NETWORK):
            network = str(entry["Id"])
            break
    if network is None:
        in_swarm = client.info().get("Swarm", {}).get("LocalNodeState") == "active"
        driver, name = ("overlay", f"kraken_{_NETWORK}") if in_swarm else ("bridge", _NETWORK)
        network = str(client.create_network(name, driver=driver, attachable=True)["Id"])
    for container in containers:
        _connect(sdk, client, container, network)


def _connect(sdk: Any, client: Any, container: str, network: str) -> None:
    try:
        client.connect_container_to_network(container, network)
    except sdk.errors.APIError as error:
        # The agent's own container is connected since its first job.
        if "already" not in str(error).lower():
            raise
