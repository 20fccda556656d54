"""One agent as a Docker container: plans through the Docker CLI what to change, as everything on a host."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from . import container_address, images
from .applied_settings import environment, unusable
from .changes import ABSENT, Change, HostError
from .commands import run
from .env_file import shown
from .images import AGENT_LABEL, PULL_SECONDS
from .setting import DATA_DIR, DOCKER, ONE_JOB, OURS, REPORT_SECONDS, UPSTREAM, Place
from .spec import drain_seconds_of, source_address

LABEL = "kraken-fleet.definition"
# Kraken's own agent, as process 1 of its container, heeds no SIGTERM, and would take jobs until it is killed.
STOP_UPSTREAM_SECONDS = 5
SOCKET = "/var/run/docker.sock"
# Where a container has the certificate authorities that it is to trust.
CA_FILE = "/etc/kraken-ca-bundle.crt"
# The image as it was asked for.
_IMAGE_LABEL = "kraken-fleet.image"
# Where the agent's data is in the image, and what is in memory for an agent that runs one job.
IMAGE_DATA = "/opt/kraken/data"
MEMORY = ("/tmp:exec,mode=1777", "/var/tmp:exec,mode=1777")  # noqa: S108 - in a container of its own
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Container(NamedTuple):
    """What is wanted.

    Args:
        image: with a version or a digest.
        environment: the agent's; empty values are left out.
        restart_policy: as `docker create --restart`.
        docker_socket: whether the engine's socket is mounted.
        drain_seconds: how long a job may go on when the container is stopped.
        tools_dirs: directories of the host that the agent finds at the same place, for reading only.
        ca_bundle: the text of the file CA_FILE in the container; empty for none.
        agent: whose it is, `ours` or `upstream`.
        address: the one that Docker is to give it in its network; empty for any.
    """

    name: str
    image: str
    environment: Dict[str, str]
    network: str = "host"
    restart_policy: str = "unless-stopped"
    docker_socket: bool = False
    drain_seconds: int = 300
    tools_dirs: Tuple[str, ...] = ()
    ca_bundle: str = ""
    agent: str = OURS
    address: str = ""


def wanted_of(params: Mapping[str, Any], agent: str = OURS) -> Container:
    """Make the container that the parameters of `agent_container` ask for.

    Args:
        agent: whose it is, `ours` or `upstream`.

    Raises:
        HostError: one of them is impossible.
    """
    address = container_address.address_of(params, agent)
    if sentences := unusable(DOCKER, params["environment"]):
        raise HostError(". ".join(sentences))
    if params.get("one_job") and params["ca_bundle"]:
        raise HostError(
            "kraken_agent_one_job: nothing can be copied into a container that cannot be written. Put the certificate "
            "authorities into the image, and name the file as SSL_CERT_FILE in kraken_agent_environment"
        )
    place = Place(DOCKER, agent, ca_bundle=CA_FILE)
    variables = environment({**params, "address": address}, place, params["environment"])
    if agent == UPSTREAM:
        container_address.refuse_docker_jobs_in_host_network(params)
        variables["KRAKEN_SERVER_ADDR"] = container_address.host_and_port(variables["KRAKEN_SERVER_ADDR"])
    if variables.get(ONE_JOB) == "yes":
        variables.setdefault("HOME", f"{variables.get(DATA_DIR, IMAGE_DATA)}/home")
    return Container(
        name=params["name"],
        image=params["image"],
        environment=variables,
        network=params["network"],
        restart_policy=params["restart_policy"],
        docker_socket=params["docker_socket"],
        drain_seconds=drain_seconds_of(variables, params["drain_seconds"]),
        tools_dirs=tuple(params["tools_dirs"]),
        ca_bundle=params["ca_bundle"],
        agent=agent,
        address=container_address.fixed_address(params["network"], address, agent),
    )


def present(wanted: Container) -> Iterator[Change]:
    """Make the container as wanted, and start it.

    Raises:
        HostError: the image or a variable is not usable, or Docker does not answer.
    """
    images.pinned(wanted.image)
    _refuse_unusable(wanted.environment)
    now = found(wanted.name)
    before = _definition_of(now)
    if now is not None and not before:
        raise HostError(
            f"The host has a container {wanted.name} that kraken-fleet did not make; remove or rename it first"
        )
    if before != digest(wanted):
        yield Change(
            _creating(wanted, now),
            lambda: _replace(wanted, now is not None),
            before=_shown_before(now),
            after=_shown(wanted, now),
            before_header=ABSENT if now is None else wanted.name,
            after_header=wanted.name,
        )
    if before != digest(wanted) or not now or not now["State"]["Running"]:
        yield Change(f"start container {wanted.name}", lambda: _start(wanted.name))


def _creating(wanted: Container, now: Optional[Mapping[str, Any]]) -> str:
    """Say which version it is going to have, and which one it had when that was another."""
    if now is None:
        return f"create container {wanted.name} of image {wanted.image}"
    before = _image_name(now)
    images = f" from image {before} to {wanted.image}" if before != wanted.image else ""
    return f"recreate container {wanted.name}{images}"


def absent(name: str, drain_seconds: int) -> Iterator[Change]:
    """Remove the container, when kraken-fleet made it."""
    if _definition_of(found(name)):
        yield Change(f"remove container {name}", lambda: _remove(name, drain_seconds), before_header=name)


def found(name: str) -> Optional[Dict[str, Any]]:
    """Return what Docker says of a container, None when there is none.

    Raises:
        HostError: Docker is missing or does not answer.
    """
    # Docker's filter also finds names that only contain this one, and its names begin with a slash.
    listed = _docker("ps", "--all", "--no-trunc", "--filter", f"name=^/{re.escape(name)}$", "--format", "{{.ID}}")
    if not listed.split():
        return None
    return dict(json.loads(_docker("inspect", "--type", "container", listed.split()[0]))[0])


def is_upstream(container: Mapping[str, Any]) -> bool:
    """Tell whether a container that kraken-fleet made has Kraken's own agent."""
    return (container["Config"].get("Labels") or {}).get(AGENT_LABEL) == UPSTREAM


def image_of(name: str) -> str:
    """Return the image of a container that kraken-fleet made; empty when there is none."""
    now = found(name)
    return _image_name(now) if now and _definition_of(now) else ""


def _image_name(container: Mapping[str, Any]) -> str:
    """Return the image as it was asked for: Docker itself may know it by its ID only."""
    config = container["Config"]
    return str((config.get("Labels") or {}).get(_IMAGE_LABEL) or config["Image"])


def address_of_container(params: Mapping[str, Any]) -> str:
    """Return the address of the agent in a container that there may be; empty while nobody knows it."""
    now = found(params["name"])
    claimed = _environment_of(now).get("KRAKEN_AGENT_ADDRESS", "") if _definition_of(now) else ""
    on_host = source_address(params["server_url"]) if params["server_url"] and params["network"] == "host" else ""
    own = container_address.address_in_network(now) if now and is_upstream(now) else ""
    return claimed or own or str(params["address"]) or on_host


def digest(wanted: Container) -> str:
    """Make a digest of everything that only a new container can change."""
    parts = wanted._asdict()
    del parts["drain_seconds"]
    if wanted.agent == OURS:  # as before there was the other one
        del parts["agent"]
    if not wanted.address:  # as before there were such
        del parts["address"]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _definition_of(container: Optional[Mapping[str, Any]]) -> str:
    return str((container["Config"].get("Labels") or {}).get(LABEL, "")) if container else ""


def _refuse_unusable(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        if not _ENV_NAME.match(name):
            raise HostError(f"{name!r} cannot be the name of an environment variable; see kraken_agent_environment")
        if "\n" in value or "\r" in value or "\0" in value:
            raise HostError(f"The value of {name} must be one line; see kraken_agent_environment")


def _start(name: str) -> None:
    _docker("start", name)


def _replace(wanted: Container, exists: bool) -> None:
    """Make the new container before the old one is stopped: an image that is missing stops nothing."""
    fresh = f"{wanted.name}-new"
    if _definition_of(found(fresh)):
        _docker("rm", "--force", fresh)
    _create(wanted, fresh)
    if exists:
        _remove(wanted.name, wanted.drain_seconds)
    _docker("rename", fresh, wanted.name)


def _create(wanted: Container, name: str) -> None:
    command = ["create", "--name", name, "--label", f"{LABEL}={digest(wanted)}"]
    command += ["--label", f"{_IMAGE_LABEL}={wanted.image}"]
    command += ["--network", wanted.network, "--restart", wanted.restart_policy]
    command += ["--ip", wanted.address] if wanted.address else []
    if wanted.agent == UPSTREAM:
        command += ["--label", f"{AGENT_LABEL}={UPSTREAM}", "--stop-timeout", str(STOP_UPSTREAM_SECONDS)]
    else:
        command += ["--stop-timeout", str(wanted.drain_seconds + REPORT_SECONDS)]
    if wanted.environment.get(ONE_JOB) == "yes":
        command += _fresh_for_each_job(wanted)
    if wanted.docker_socket:
        command += ["--volume", f"{SOCKET}:{SOCKET}"]
    for path in wanted.tools_dirs:
        # Unlike --volume this fails when the host has no such directory, instead of making an empty one.
        command += ["--mount", f"type=bind,source={path},target={path},readonly"]
    # Not on the command line: any user of the host sees that.
    descriptor, path = tempfile.mkstemp(prefix=".kraken-env-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{key}={value}\n" for key, value in sorted(wanted.environment.items()) if value != "")
        run(["docker", *command, "--env-file", path, images.reference(wanted.image)], timeout=PULL_SECONDS)
    finally:
        os.unlink(path)
    if wanted.ca_bundle:
        _copy(wanted.ca_bundle, name)


def _fresh_for_each_job(wanted: Container) -> List[str]:
    """Return what leaves nothing of a job when the engine starts the container again.

    Memory is empty then, and the agent empties its data itself. All else cannot be written.
    """
    words = ["--read-only", "--volume", wanted.environment.get(DATA_DIR, IMAGE_DATA)]
    return words + [word for path in MEMORY for word in ("--tmpfs", path)]


def _copy(ca_bundle: str, name: str) -> None:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write(ca_bundle)
        file.flush()
        os.chmod(file.name, 0o644)  # certificates are public, and the image decides who reads them
        _docker("cp", file.name, f"{name}:{CA_FILE}")


def _remove(name: str, drain_seconds: int) -> None:
    now = found(name)
    seconds = STOP_UPSTREAM_SECONDS if now and is_upstream(now) else drain_seconds + REPORT_SECONDS
    run(["docker", "stop", "--time", str(seconds), name], timeout=seconds + 60.0)
    _docker("rm", "--force", "--volumes", name)


def _docker(*arguments: str) -> str:
    return run(["docker", *arguments])


def _shown(wanted: Container, now: Optional[Mapping[str, Any]]) -> str:
    mounts = (*((SOCKET,) if wanted.docker_socket else ()), *wanted.tools_dirs)
    parts = wanted.image, wanted.network, wanted.restart_policy, mounts
    return _text(*parts, wanted.environment, _environment_of(now))


def _shown_before(container: Optional[Mapping[str, Any]]) -> str:
    if container is None:
        return ""
    host = container["HostConfig"]
    mounts = [bind.split(":")[0] for bind in host.get("Binds") or []]
    mounts += [mount["Source"] for mount in host.get("Mounts") or []]
    restart = host["RestartPolicy"]["Name"]
    return _text(_image_name(container), host["NetworkMode"], restart, mounts, _environment_of(container), {})


def _environment_of(container: Optional[Mapping[str, Any]]) -> Dict[str, str]:
    """Return the variables of a container: those it was given, and those of its image."""
    lines = container["Config"].get("Env") or [] if container else []
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _text(
    image: str,
    network: str,
    restart: str,
    mounts: Sequence[str],
    variables: Mapping[str, str],
    old: Mapping[str, str],
) -> str:
    lines: List[str] = [f"image {image}", f"network {network}", f"restart {restart}"]
    lines += [f"mount {path}" for path in mounts]
    pairs = sorted(variables.items())
    lines += [f"{name}={shown(name, value, old.get(name))}" for name, value in pairs if value != ""]
    return "".join(f"{line}\n" for line in lines)
