"""PostgreSQL: one cluster per instance, on the private address, password for `kraken`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.real_server import processes
from tests.real_server.install import postgres_program
from tests.real_server.plan import Instance, RealServerError

NAME = "postgres"


def up(instance: Instance) -> None:
    """Create the cluster once, start it, and create role and database once."""
    base = _base(instance)
    if not (base / "data" / "PG_VERSION").exists():
        _create_cluster(base)
    processes.start(instance.directory, NAME, _command(instance), user=_user())
    processes.wait_ready(instance.directory, NAME, lambda: _accepts(instance))
    _create_database(instance)


def down(instance: Instance) -> bool:
    """Stop it without waiting for clients (the fast shutdown)."""
    return processes.stop(instance.directory, NAME, with_signal=signal.SIGINT)


def _base(instance: Instance) -> Path:
    return instance.directory / NAME


def _user() -> str | None:
    """PostgreSQL refuses to run as root."""
    return "postgres" if os.geteuid() == 0 else None


def _create_cluster(base: Path) -> None:
    base.mkdir(exist_ok=True, mode=0o700)
    user = _user()
    if user:
        shutil.chown(base, user, user)
    encoding = ["-E", "UTF8", "--locale=C.UTF-8"]
    access = ["--auth-local=trust", "--auth-host=scram-sha-256"]
    _as_postgres([postgres_program("initdb"), "-D", base / "data", "-U", "postgres", "--no-sync", *encoding, *access])


def _command(instance: Instance) -> list[str | Path]:
    base = _base(instance)
    options = {
        "listen_addresses": instance.private,
        "port": "5432",
        "unix_socket_directories": str(base),  # 0700, so local trust is trust in root and postgres only
        "fsync": "off",  # the data of tests
        "max_connections": "200",
    }
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return [postgres_program("postgres"), "-D", base / "data", *settings]


def _accepts(instance: Instance) -> bool:
    command = [postgres_program("pg_isready"), "-q", "-h", instance.private, "-p", "5432"]
    return subprocess.run([str(part) for part in command], check=False).returncode == 0


def _create_database(instance: Instance) -> None:
    """The password goes through standard input: arguments are visible to everybody."""
    if _sql(instance, "SELECT 1 FROM pg_database WHERE datname = 'kraken'"):
        return
    _sql(instance, f"CREATE ROLE kraken LOGIN PASSWORD '{instance.database_password}'")
    _sql(instance, "CREATE DATABASE kraken OWNER kraken")


def _sql(instance: Instance, statement: str) -> str:
    options = ["-U", "postgres", "-At", "-v", "ON_ERROR_STOP=1", "-f", "-"]
    command: list[str | Path] = [postgres_program("psql"), "-h", _base(instance), *options]
    return _as_postgres(command, statement)


def _as_postgres(command: list[str | Path], text: str = "") -> str:
    done = subprocess.run(
        [str(part) for part in command],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        user=_user(),
        group=_user(),
        extra_groups=[] if _user() else None,
    )
    if done.returncode:
        raise RealServerError(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()
