"""The published ports of a server under Docker Compose, as a real engine tells them: here, and over SSH."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kraken_fleet.errors import NetworkError
from kraken_fleet.network import from_containers
from kraken_fleet.network.containers import engine, published_ports
from tests.e2e.container_images import MINIMAL, docker_images
from tests.unique_names import unique_name

__all__ = ["docker_images"]
pytestmark = pytest.mark.docker
SERVICES = {"clickhouse-proxy": ["9001/udp"], "minio": ["9999", "9998"]}


@pytest.fixture(scope="module")
def project(docker_images: None) -> Iterator[tuple[str, dict[str, str]]]:
    """A compose project of two services; where its host publishes their first ports."""
    name = unique_name("published")
    started = []
    for service, ports in SERVICES.items():
        labels = {"com.docker.compose.project": name, "com.docker.compose.service": service}
        command = ["docker", "run", "--detach", "--name", f"{name}-{service}"]
        command += [f"--label={key}={value}" for key, value in labels.items()]
        started.append(_do(*command, *(f"--publish={port}" for port in ports), MINIMAL, "/bin/sleep", "600").strip())
    numbers = {
        # MinIO's API is at the lower of its two ports.
        service: _do("docker", "port", f"{name}-{service}", min(ports)).splitlines()[0].rpartition(":")[2]
        for service, ports in SERVICES.items()
    }
    yield name, numbers
    _do("docker", "rm", "--force", *started)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """An SSH server for this account on the loopback address; its port, and a home directory that knows it."""
    home = tmp_path_factory.mktemp("home")
    (home / ".ssh").mkdir(mode=0o700)
    for key in (home / "host_key", home / ".ssh" / "id_ed25519"):
        _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    host_key = (home / "host_key.pub").read_text()
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    options = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": home / "host_key",
        "AuthorizedKeysFile": home / ".ssh" / "id_ed25519.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
    }
    (home / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    Path("/run/sshd").mkdir(exist_ok=True)
    with (home / "log").open("w") as log:
        server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(home / "sshd_config")], stderr=log)
    _wait(port, home / "log")
    yield port, home
    server.terminate()
    server.wait(10)


def test_the_engine_here_says_where_a_running_project_is_published(project: tuple[str, dict[str, str]]) -> None:
    name, numbers = project
    with engine() as client:
        found = from_containers(published_ports(client, name), "kraken.example")
    assert found.clickhouse is not None
    assert found.minio is not None
    assert found.clickhouse.address == f"kraken.example:{numbers['clickhouse-proxy']}"
    assert found.minio.address == f"kraken.example:{numbers['minio']}"
    assert f"containers: minio 9998/tcp is published on port {numbers['minio']}" in found.minio.reason


def test_an_engine_elsewhere_is_asked_over_ssh(
    project: tuple[str, dict[str, str]], sshd: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (name, numbers), (port, home) = project, sshd
    monkeypatch.setenv("HOME", str(home))
    with engine(f"ssh://{getpass.getuser()}@127.0.0.1:{port}") as client:
        ports = published_ports(client, name)
    assert {(port.service, str(port.host_port)) for port in ports} >= set(numbers.items())


@pytest.mark.parametrize("trouble", ["host key", "login"])
def test_a_host_that_cannot_be_trusted_or_does_not_let_us_in_is_named(
    sshd: tuple[int, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: str
) -> None:
    port, home = sshd
    (tmp_path / ".ssh").mkdir()
    if trouble == "login":
        (tmp_path / ".ssh" / "known_hosts").write_text((home / ".ssh" / "known_hosts").read_text())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}"
    with pytest.raises(NetworkError, match="No Docker engine answers") as caught, engine(url):
        pass
    assert caught.value.where == url
    assert caught.value.hint


def _wait(port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"sshd does not listen: {log.read_text()}")


def _do(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
