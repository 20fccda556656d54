"""A real S3 server on loopback for tests: SeaweedFS with one pair of keys; it checks signatures as MinIO does."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

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


@contextlib.contextmanager
def s3_server(home: Path) -> Iterator[S3Server]:
    """Run one, with its files in an empty directory."""
    weed = shutil.which("weed") or str(Path(sys.executable).with_name("weed"))
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
