"""The Kraken server itself: migration, planner, queue workers, scheduler, watchdog and the web server."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.real_server import processes
from tests.real_server.plan import SERVER_PORT, Instance, RealServerError

WORKERS = ("kkqneck", "kkscheduler", "kkwatchdog", "kkrq")
NAMES = ("kkplanner", *WORKERS, "gunicorn")


def up(instance: Instance) -> None:
    """Bring the database to this version, start the services, and set what agents are told."""
    environment = _environment(instance)
    if processes.running(instance.directory, "kkplanner") is None:
        _migrate(instance, environment)
    _start(instance, "kkplanner", [instance.program("kkplanner")])
    processes.wait_ready(instance.directory, "kkplanner", lambda: _listens("127.0.0.1", instance.planner_port))
    for name in WORKERS:
        _start(instance, name, [instance.program(name)])
    _start(instance, "gunicorn", _gunicorn(instance))
    processes.wait_ready(instance.directory, "gunicorn", lambda: _signed_in(instance) is not None)
    _settings(instance)


def down(instance: Instance) -> bool:
    """Stop all of them, side by side: a worker finishes its piece of work first. Returns whether any ran."""
    with ThreadPoolExecutor(len(NAMES)) as pool:
        return any(list(pool.map(lambda name: processes.stop(instance.directory, name), NAMES)))


def _environment(instance: Instance) -> dict[str, str]:
    agents = instance.directory / "agent"
    return {
        "KRAKEN_DB_URL": instance.database_url,
        "KRAKEN_REDIS_ADDR": f"{instance.private}:6379",
        "KRAKEN_CLICKHOUSE_URL": instance.clickhouse_url,
        "KRAKEN_CLICKHOUSE_ADDR": instance.log_address,
        "KRAKEN_SERVER_ADDR": f"{instance.advertise}:{SERVER_PORT + instance.offset}",
        "KRAKEN_SERVER_PORT": str(SERVER_PORT + instance.offset),
        "KRAKEN_PLANNER_URL": f"http://127.0.0.1:{instance.planner_port}/",
        "KRAKEN_MINIO_ADDR": instance.s3_address,
        "MINIO_ROOT_USER": instance.s3_access_key,
        "MINIO_ROOT_PASSWORD": instance.s3_secret_key,
        "KKAGENT_DIR": str(agents),
    }


def _start(instance: Instance, name: str, command: list[Any]) -> None:
    processes.start(instance.directory, name, command, environment=_environment(instance), cwd=instance.directory)


def _gunicorn(instance: Instance) -> list[Any]:
    bind = f"{instance.bind}:{SERVER_PORT + instance.offset}"
    options = ["--workers", "2", "--timeout", "180", "--bind", bind]
    return [instance.program("gunicorn"), *options, "kraken.server.server:create_app()"]


def _migrate(instance: Instance, environment: dict[str, str]) -> None:
    log = instance.directory / "logs" / "kkdbmigrate.log"
    with log.open("ab") as output:
        done = subprocess.run(
            [str(instance.program("kkdbmigrate"))],
            env={**environment, "PATH": "/usr/bin:/bin", "TZ": "UTC"},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise RealServerError(f"kkdbmigrate failed:\n{processes.last_lines(instance.directory, 'kkdbmigrate')}")


def _listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


def _signed_in(instance: Instance) -> str | None:
    """A token of the first administrator, or None while the server does not answer."""
    try:
        answer = _call(instance, "POST", "/api/sessions", {"user": "admin", "password": "admin"})
    except OSError:
        return None
    return str(answer["token"])


def _settings(instance: Instance) -> None:
    """Without these the install scripts answer 500 and agents are sent to the wrong object store."""
    general = {
        "server_url": instance.url,
        "clickhouse_addr": instance.log_address,
        "minio_addr": instance.s3_address,
    }
    _call(instance, "PUT", "/api/settings", {"general": general}, _signed_in(instance))


def _call(instance: Instance, method: str, path: str, body: object, token: str | None = None) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(instance.url + path, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))
