"""The object store that stands where MinIO does: SeaweedFS with its S3 port on the public address."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path

from tests.real_server import processes
from tests.real_server.plan import S3_PORT, Instance

NAME = "s3"


def up(instance: Instance) -> None:
    """Start master, volume, filer and S3 gateway as one process."""
    folder = instance.directory / NAME
    folder.mkdir(exist_ok=True, mode=0o700)
    processes.start(instance.directory, NAME, _command(instance, folder, _write_accounts(instance, folder)), cwd=folder)
    processes.wait_ready(instance.directory, NAME, lambda: _answers(instance))


def down(instance: Instance) -> bool:
    """Stop it; it can take a minute to say goodbye to itself, so it gets little time."""
    return processes.stop(instance.directory, NAME, seconds=2.0)


def _command(instance: Instance, folder: Path, accounts: Path) -> list[str | Path]:
    """Only the S3 gateway is public. All ports differ by instance: SeaweedFS names sockets in /tmp after them."""
    addresses = [f"-ip={instance.private}", f"-ip.bind={instance.private}", f"-s3.ip.bind={instance.bind}"]
    inner = {"master": 9333, "volume": 8080, "filer": 8888}
    ports = [f"-{part}.port={port + instance.offset}" for part, port in inner.items()]
    gateway = ["-s3", f"-s3.port={S3_PORT + instance.offset}", f"-s3.port.grpc={18333 + instance.offset}"]
    unused = ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    # A lone master elects itself after one to two of these; the default makes a restart last 20 s.
    patience = ["-master.electionTimeout=1s", "-volume.preStopSeconds=0"]
    limits = ["-master.volumeSizeLimitMB=64", "-volume.max=1000", "-filer", f"-s3.config={accounts}"]
    return [
        instance.program("weed"),
        "server",
        f"-dir={folder}",
        *addresses,
        *ports,
        *gateway,
        *unused,
        *patience,
        *limits,
    ]


def _write_accounts(instance: Instance, folder: Path) -> Path:
    accounts = folder / "accounts.json"
    keys = [{"accessKey": instance.s3_access_key, "secretKey": instance.s3_secret_key}]
    identity = {"name": "kraken", "credentials": keys, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    descriptor = os.open(accounts, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"identities": [identity]}, file)
    return accounts


def _answers(instance: Instance) -> bool:
    """An anonymous request is refused once the store is up: 403, not a closed port."""
    url = f"http://{instance.s3_address}/"
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 403
    except OSError:
        return False
