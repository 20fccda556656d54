"""A lab's server may also be the unmodified one from PyPI, brought up by the checkout's `tests/real_server`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from kraken_fleet.collection import collection_root
from kraken_fleet.errors import LabError
from kraken_fleet.lab.state import LabPaths

# Every fresh krakenci-server has this administrator; it listens only where the lab's hosts are.
_PASSWORD = "admin"  # noqa: S105 - well known
_TAIL_LINES = 5


def start_krakenci(paths: LabPaths, address: str) -> str:
    """Bring the server up with all its services, on free ports; returns its URL. A minute the first time.

    Args:
        paths: of the lab, whose bundles are there; its password file is written.
        address: where the server, the log receiver and the object store listen.

    Raises:
        LabError: this is no checkout, or something did not install or start.
    """
    program = _program()
    paths.server.mkdir(exist_ok=True, mode=0o700)
    _memory(paths).write_text(str(_directory(paths)), encoding="utf-8")
    paths.password.write_text(_PASSWORD + "\n", encoding="utf-8")
    options = ["--bind", address, "--offset", "auto", "--agent-files", str(paths.bundles)]
    answer = _run(program, "--dir", str(_directory(paths)), "up", *options)
    return str(json.loads(answer)["url"])


def krakenci_runs(paths: LabPaths) -> bool:
    """Say whether this lab has such a server and all of it runs."""
    directory = _remembered(paths)
    if directory is None:
        return False
    command = [sys.executable, str(_program()), "--dir", directory, "status"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def stop_krakenci(paths: LabPaths) -> None:
    """Stop such a server if this lab has one, and remove its data. Repeatable.

    Raises:
        LabError: it would not go.
    """
    directory = _remembered(paths)
    if directory is not None:
        _run(_program(), "--dir", directory, "down", "--purge")
        _memory(paths).unlink()


def _program() -> Path:
    program = collection_root() / "tests" / "real_server"
    if not (program / "__main__.py").is_file():
        hint = "Clone kraken-fleet, or use the embedded server"
        raise LabError("The real server can only be brought up from a checkout", where=str(program), hint=hint)
    return program


def _directory(paths: LabPaths) -> Path:
    """Say where the server's data goes. Run by root its database belongs to `postgres`, who may not enter the lab."""
    if os.geteuid() != 0:
        return paths.server / "krakenci"
    digest = hashlib.sha256(str(paths.directory).encode()).hexdigest()[:8]
    return Path("/var/cache/kraken-fleet") / f"lab-{paths.directory.name}-{digest}"


def _memory(paths: LabPaths) -> Path:
    return paths.server / "krakenci-directory"


def _remembered(paths: LabPaths) -> str | None:
    try:
        return _memory(paths).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _run(program: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(program), *arguments], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        said = " ".join(done.stderr.splitlines()[-_TAIL_LINES:])
        raise LabError(f"The real server could not be brought {arguments[2]}: {said}")
    return done.stdout
