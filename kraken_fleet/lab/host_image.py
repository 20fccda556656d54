"""The image of a lab host: a Debian from debootstrap with systemd and sshd, built once for each recipe."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kraken_fleet.errors import LabError

RELEASES = ("bookworm", "trixie", "bullseye")
_REPOSITORY = "kraken-fleet/lab-host"
# Debootstrap takes minutes: what it makes is kept for all engines, until its recipe changes.
CACHE = Path("/var/cache/kraken-fleet/lab-hosts")
_SYSTEM = ("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "iproute2", "ca-certificates")
# What a managed host has before kraken-fleet comes.
_WITH_PYTHON = ("python3", "git")

# sshd must not start before the host has keys of its own: the image has none.
_SSH_KEYS = """[Service]
ExecStartPre=
ExecStartPre=/usr/bin/ssh-keygen -A
ExecStartPre=/usr/sbin/sshd -t
"""
_SSHD = "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"
# Consoles, udev and the like wait for hardware that a container has not.
_MASKED = (
    "console-getty.service",
    "getty.target",
    "systemd-logind.service",
    "systemd-networkd-wait-online.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "systemd-udevd.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is in an image.

    Args:
        release: one of RELEASES.
        python: with Python and Git; without, the host is as bare as a minimal installation.
    """

    release: str = RELEASES[0]
    python: bool = True

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """Read `trixie`, or `trixie-bare` for a host without Python.

        Raises:
            LabError: there is no such release.
        """
        release, _, variant = text.partition("-")
        if release not in RELEASES or variant not in ("", "bare"):
            hint = f"Choose {', '.join(RELEASES)}, or one of them with -bare for hosts without Python"
            raise LabError(f"There is no lab host {text!r}", hint=hint)
        return cls(release, python=not variant)

    @property
    def packages(self) -> tuple[str, ...]:
        """Debian packages beyond the essential ones."""
        return _SYSTEM + (_WITH_PYTHON if self.python else ())

    @property
    def image(self) -> str:
        """The image's name; its tag changes with everything that goes into it."""
        ingredients = (self.release, *self.packages, _SSH_KEYS, _SSHD, *_MASKED)
        digest = hashlib.sha256("\0".join(ingredients).encode()).hexdigest()[:12]
        return f"{_REPOSITORY}:{self.release}{'' if self.python else '-bare'}-{digest}"


def archive_of(recipe: Recipe) -> Path:
    """Return a tar file of the root file system, and build it when there is none. A second process waits for the first.

    Raises:
        LabError: debootstrap is not there, may not be used, or failed.
    """
    archive = CACHE / f"{recipe.image.rpartition(':')[2]}.tar"
    if archive.exists():
        return archive
    if shutil.which("debootstrap") is None:
        raise LabError("The image of a lab host is made by debootstrap", hint="apt-get install debootstrap")
    if os.geteuid() != 0:
        raise LabError("Only root can make the image of a lab host", hint="Run `lab up` once with sudo; it is kept")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            _build(recipe, archive)
            for other in CACHE.glob("*.tar"):
                if _kind(other) == _kind(archive) and other != archive:
                    other.unlink()
    return archive


def _kind(archive: Path) -> str:
    """Return release and variant: archives of an older recipe for the same are not kept."""
    return archive.stem.rpartition("-")[0]


def _build(recipe: Recipe, archive: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="kraken-fleet-image-", dir="/var/tmp") as directory:
        root = Path(directory) / "root"
        included = f"--include={','.join(recipe.packages)}"
        # What debootstrap mounts in the tree goes with this name space: were it cut off, parts of this machine would
        # still be in there when the directory is removed. Without a mirror it takes Debian's own.
        _run("unshare", "--mount", "debootstrap", "--variant=minbase", included, recipe.release, root)
        _furnish(root)
        fresh = archive.with_suffix(".new")
        # The numbers of the image's accounts, whatever this machine calls them.
        _run("tar", "--numeric-owner", "-C", root, "-cf", fresh, ".")
        fresh.replace(archive)


def _furnish(root: Path) -> None:
    # The package makes them when it is installed, and then all hosts of the image would have the same.
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name, content in {
        "etc/systemd/system/ssh.service.d/keys.conf": _SSH_KEYS,
        "etc/ssh/sshd_config.d/lab.conf": _SSHD,
        # An empty file has systemd make up an id at each host's first start (machine-id(5)); two hosts with one id
        # confuse DHCP and the journal.
        "etc/machine-id": "",
        "etc/hostname": "",
    }.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    for unit in _MASKED:
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True)


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).splitlines()[-5:])
        raise LabError(f"{command[0]} failed: {said}", hint="Check that the Debian mirror can be reached")
