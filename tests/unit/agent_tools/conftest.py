"""Real parts for the tools' tests: an S3 server on loopback, and git repositories."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kraken_agent.tools import object_store
from kraken_agent.tools.s3 import S3Client, StoreError
from kraken_agent.tools.s3_signature import Credentials

ACCESS_KEY = "kraken-test-access"
SECRET_KEY = "kraken-test-secret"


class S3Server(NamedTuple):
    """A running S3 server."""

    address: str

    def client(self) -> S3Client:
        return S3Client(self.address, Credentials(ACCESS_KEY, SECRET_KEY))

    def step_fields(self, bucket: str) -> dict[str, Any]:
        """What a Kraken server adds to a step that needs the store."""
        return {
            "minio_addr": self.address,
            "minio_access_key": ACCESS_KEY,
            "minio_secret_key": SECRET_KEY,
            "minio_bucket": bucket,
        }


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS with one pair of keys; it checks signatures as MinIO does."""
    weed = shutil.which("weed") or str(Path(__import__("sys").executable).with_name("weed"))
    home = tmp_path_factory.mktemp("seaweedfs")
    (home / "s3.json").write_text(
        json.dumps(
            {
                "identities": [
                    {
                        "name": "test",
                        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
                        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
                    }
                ]
            }
        )
    )
    names = ["master.port", "volume.port", "filer.port", "s3.port"]
    names += [f"{name}.grpc" for name in names]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    command = [weed, "server", f"-dir={home}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-filer"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    command += [
        f"-s3.config={home / 's3.json'}",
        "-volume.max=1000",
        "-master.volumeSizeLimitMB=100",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
    ]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=home)
    server = S3Server(f"127.0.0.1:{ports['s3.port']}")
    try:
        _wait_until_it_stores(server, process, home / "log")
        yield server
    finally:
        process.kill()
        process.wait()


def _wait_until_it_stores(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        client = server.client()
        try:
            client.make_bucket("probe")
            probe = log.with_name("probe")
            probe.write_text("x")
            client.put_file("probe", "probe", probe)
        except StoreError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise AssertionError(log.read_text()[-3000:]) from None
            time.sleep(0.2)
        else:
            return
        finally:
            client.close()


@pytest.fixture(params=["package minio", "own client"])
def store_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test twice: with the package, and as on a host that does not have it."""
    monkeypatch.delenv("KRAKEN_MINIO_ADDR", raising=False)
    if request.param == "own client":
        monkeypatch.setattr(object_store, "_minio_package", lambda: None)
    return str(request.param)


@pytest.fixture
def bucket(s3: S3Server, request: pytest.FixtureRequest) -> str:
    """An empty bucket."""
    name = f"bucket-{abs(hash(request.node.nodeid)) % 10**12}"
    s3.client().make_bucket(name)
    return name


@pytest.fixture
def job_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job's directory, which is where tools run."""
    directory = tmp_path / "job"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


def git(directory: Path, *words: str) -> str:
    """Run git as a person would, with a fixed author."""
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com", "-c", "init.defaultBranch=master"]
    done = subprocess.run(["git", *identity, *words], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with `master`, a branch `stable`, a tag `v1`, and a bare copy of it as the remote."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init")
    (work / "a.txt").write_text("one\n")
    git(work, "add", ".")
    git(work, "commit", "-m", "one")
    git(work, "tag", "v1")
    git(work, "branch", "stable")
    (work / "a.txt").write_text("two\n")
    git(work, "commit", "-a", "-m", "two")
    git(tmp_path, "clone", "--bare", str(work), "project.git")
    git(work, "remote", "add", "origin", str(tmp_path / "project.git"))
    return work
