"""What one instance is: its directory, addresses, ports and secrets, and the file that remembers them.

Two kinds of addresses. The *public* one is where agents and clients come: the server, the log receiver and the object
store listen there. The *private* one is a loopback address of the instance's own, 127.77.0.N, for PostgreSQL, Redis and
ClickHouse: the server connects to ClickHouse on port 9000 whatever its URL says, so instances differ by address.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path

KRAKEN_VERSION = "1.7.36"
SERVER_PORT = 6363
LOG_PORT = 9001
S3_PORT = 9999
PLANNER_PORT = 7997  # the planner listens on every interface, whatever the address in its URL
MAX_OFFSET = 250  # the last number of the private address


class RealServerError(Exception):
    """Something kept the server from coming up or going down; the message says what to do."""


def cache_directory() -> Path:
    """Where instances and the server's own virtual environment live.

    For root it is not under the home directory: PostgreSQL then runs as the user postgres, who may not enter it.
    """
    if os.geteuid() == 0:
        return Path("/var/cache/kraken-fleet")
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kraken-fleet"


def default_directory() -> Path:
    """The instance that is meant when nothing else is said."""
    return cache_directory() / "real-server"


@dataclass(frozen=True)
class Instance:
    """One real server on this machine.

    Args:
        directory: holds data, logs, pid files and state of this instance.
        bind: the public address that the services listen on.
        advertise: the address that agents are told; differs from `bind` only when that is 0.0.0.0.
        offset: added to every port, and the number of the private address.
    """

    directory: Path
    bind: str = "127.0.0.1"
    advertise: str = "127.0.0.1"
    offset: int = 0
    database_password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    s3_access_key: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)
    s3_secret_key: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)

    @property
    def private(self) -> str:
        """The loopback address that only this instance uses."""
        return f"127.77.0.{1 + self.offset}"

    @property
    def url(self) -> str:
        """What clients and agents are given."""
        return f"http://{self.advertise}:{SERVER_PORT + self.offset}"

    @property
    def log_address(self) -> str:
        """Where agents send their log over UDP."""
        return f"{self.advertise}:{LOG_PORT + self.offset}"

    @property
    def s3_address(self) -> str:
        """Where agents find the object store."""
        return f"{self.advertise}:{S3_PORT + self.offset}"

    @property
    def planner_port(self) -> int:
        """The planner's port, on every interface."""
        return PLANNER_PORT + self.offset

    @property
    def database_url(self) -> str:
        """As SQLAlchemy wants it; contains the password."""
        return f"postgresql://kraken:{self.database_password}@{self.private}:5432/kraken"

    @property
    def clickhouse_url(self) -> str:
        """ClickHouse over HTTP."""
        return f"http://{self.private}:8123"

    @property
    def venv(self) -> Path:
        """The server's own virtual environment, shared by all instances of this version."""
        return cache_directory() / f"krakenci-server-{KRAKEN_VERSION}"

    def program(self, name: str) -> Path:
        """A program of the server's virtual environment."""
        return self.venv / "bin" / name

    def public_ports(self) -> tuple[int, ...]:
        """TCP ports that must be free before the first start."""
        return (SERVER_PORT + self.offset, S3_PORT + self.offset, self.planner_port)

    def save(self) -> None:
        """Remember the instance, secrets included, for the owner only."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o711)  # the user postgres passes through
        target = self.directory / "instance.json"
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({**asdict(self), "directory": str(self.directory)}, file, indent=1)

    def public(self) -> dict[str, str]:
        """What may be shown: addresses and the first account, which every fresh server has."""
        return {
            "url": self.url,
            "user": "admin",
            "password": "admin",
            "clickhouse_addr": self.log_address,
            "clickhouse_url": self.clickhouse_url,
            "clickhouse_native": f"{self.private}:9000",
            "minio_addr": self.s3_address,
            "version": KRAKEN_VERSION,
            "directory": str(self.directory),
        }


def load(directory: Path) -> Instance | None:
    """The instance that lives in a directory, or None."""
    file = directory / "instance.json"
    if not file.exists():
        return None
    values = json.loads(file.read_text())
    return Instance(**{**values, "directory": directory.resolve()})


def is_free(address: str, port: int) -> bool:
    """Whether nobody listens on a TCP port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def free_offset(bind: str) -> int:
    """The first offset whose ports are all free.

    Raises:
        RealServerError: every one of them is taken.
    """
    for offset in range(MAX_OFFSET):
        candidate = Instance(Path("/nonexistent"), bind=bind, offset=offset)
        private_free = all(is_free(candidate.private, port) for port in (5432, 6379, 8123, 9000))
        if private_free and is_free("0.0.0.0", candidate.planner_port) and _public_free(candidate):
            return offset
    raise RealServerError(f"no free ports for another server on {bind}")


def _public_free(instance: Instance) -> bool:
    return all(is_free(instance.bind, port) for port in instance.public_ports()[:2])
