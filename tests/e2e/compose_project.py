"""A stand-in for a Kraken server under Docker Compose: its services and networks, with nothing in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Two runs of the tests do not meet.
RUN = os.getpid()
IMAGE = f"kraken-fleet-test/busybox:{RUN}"
SUBNET = f"172.29.{RUN % 250}.0/24"
FIRST, SECOND = (SUBNET.replace(".0/24", f".{last}") for last in (11, 12))
SERVICES = {"server", "clickhouse-proxy", "minio"}
OVERRIDE = "kraken-fleet-agents.override.yaml"

_COMPOSE = f"""
version: "3.6"
x-idle: &idle
  image: {IMAGE}
  stop_signal: SIGKILL
  networks: [lab_net]
services:
  server: *idle
  clickhouse-proxy: *idle
  minio: *idle
networks:
  lab_net:
    driver: bridge
"""


def sh(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd).stdout


@contextmanager
def idle_image(folder: Path) -> Iterator[None]:
    """An image with nothing but busybox, whose default command sleeps.

    Args:
        folder: an empty one.
    """
    archive = folder / "busybox.tar"
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is not installed"
    with tarfile.open(archive, "w") as tar:
        tar.add(busybox, "bin/busybox")
    sh("docker", "import", "--change", 'CMD ["/bin/busybox", "sleep", "3600"]', str(archive), IMAGE)
    yield
    sh("docker", "image", "rm", "--force", IMAGE)


@contextmanager
def running_project(folder: Path, environment: str = "") -> Iterator[Path]:
    """The stand-in, running, its network without any IPAM setting; gives its compose file.

    Args:
        folder: is made; its name is the project's.
        environment: what is in the env file beside the compose file.
    """
    folder.mkdir()
    path = folder / "docker-compose.yaml"
    path.write_text(_COMPOSE)
    (folder / ".env").write_text(environment)
    sh("docker-compose", "up", "--detach", cwd=folder)
    try:
        yield path
    finally:
        override = ["-f", OVERRIDE] if (folder / OVERRIDE).exists() else []
        sh("docker-compose", "-f", path.name, *override, "down", "--remove-orphans", "--timeout", "0", cwd=folder)


def containers(compose_file: Path) -> dict[str, str]:
    """A project's containers that run, by service; another one of the same service has another number."""
    chosen = ["--filter", f"label=com.docker.compose.project={compose_file.parent.name}"]
    shown = sh("docker", "ps", *chosen, "--format", '{{.Label "com.docker.compose.service"}}={{.ID}}')
    return dict(pair.split("=", 1) for pair in shown.split())
