"""Makes a Debian machine ready for `make test-real`: installs what is missing, starts Docker and LXD, and says so.

Run as root. What it started keeps running; what is there already is left alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.real_server.install import apt_install, install_packages
from tests.real_server.plan import RealServerError, cache_directory

PROGRAMS = {
    "busybox-static": "busybox",
    "chromium": "chromium",
    "cloc": "cloc",
    "docker.io": "dockerd",
    "docker-compose": "docker-compose",
    "docker-registry": "docker-registry",
    "debootstrap": "debootstrap",
    "dnsmasq-base": "dnsmasq",
    "faketime": "faketime",
    "lxd": "lxd",
    "lxd-client": "lxc",
    "openssh-client": "ssh",
    "openssh-server": "sshd",
    "prometheus": "promtool",
    "sshpass": "sshpass",
    "tcsh": "tcsh",
}
START_SECONDS = 60.0
LOGS = Path("/var/log")


def main() -> int:
    """0 when everything is there; 1 when something could not be had."""
    if os.geteuid() != 0:
        print("error: make test-real installs packages and makes containers: run it as root", file=sys.stderr)
        return 1
    try:
        install_packages(say)
        install_programs()
        install_angular()
        start_docker()
        start_lxd()
    except (RealServerError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def install_programs() -> None:
    """Debian's Docker, LXD and the tools that hosts are made with."""
    missing = [package for package, program in PROGRAMS.items() if shutil.which(program) is None]
    if not missing:
        return
    say(f"installing Debian packages: {' '.join(missing)}")
    apt_install(missing)


def install_angular() -> None:
    """What `ng lint` needs, some 120 MB, where there is npm; elsewhere tests make do with what it wrote."""
    package = Path(__file__).parent / "cases/tools/angular/package.json"
    home = cache_directory() / "angular"
    if shutil.which("npm") is None or ((home / "node_modules").is_dir() and _same(package, home / "package.json")):
        return
    say("installing Angular's lint")
    home.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    shutil.copy(package, home)
    if subprocess.run([*command, "--prefix", str(home)], check=False, stdout=subprocess.DEVNULL).returncode:
        say("npm could not install it")
        shutil.rmtree(home)


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.read_bytes() == other.read_bytes()


def start_docker() -> None:
    """Start the Docker engine unless it answers."""
    if answers("docker", "info"):
        return
    say("starting dockerd")
    start("dockerd")
    wait_for("docker", "info")


def start_lxd() -> None:
    """Start the LXD daemon unless it answers, and give a new one a storage pool."""
    if not answers("lxc", "info"):
        say("starting lxd")
        start("lxd", "--group", "root")
        wait_for("lxc", "info")
    pools = subprocess.run(["lxc", "storage", "list", "--format=csv"], capture_output=True, text=True, check=True)
    if not pools.stdout.strip():
        say("giving LXD a storage pool")
        root_disk = ["lxc", "profile", "device", "add", "default", "root", "disk", "path=/", "pool=default"]
        for command in (["lxc", "storage", "create", "default", "dir"], root_disk):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def start(*command: str) -> None:
    """Start a daemon that outlives us."""
    with (LOGS / f"kraken-fleet-{command[0]}.log").open("ab") as log:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def wait_for(*command: str) -> None:
    """Wait until a command succeeds."""
    deadline = time.monotonic() + START_SECONDS
    while not answers(*command):
        if time.monotonic() > deadline:
            raise RealServerError(f"{command[0]} does not answer; its log is in {LOGS}")
        time.sleep(0.5)


def answers(*command: str) -> bool:
    """Whether a command succeeds."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def say(line: str) -> None:
    """For the person at the terminal."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
