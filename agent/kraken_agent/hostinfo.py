"""What the agent tells the server about its host, in upstream's words: `debian-12`, `bare-metal`, `docker`."""

from __future__ import annotations

import os

from kraken_agent import __version__, resources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from kraken_agent.config import Config

# Distributions that the `distro` package, which upstream asks, calls otherwise than they call themselves.
_NAMES = {"ol": "oracle", "opensuse-leap": "opensuse", "redhat": "rhel"}
_LONGEST_NONCE = 4096


def collect(config: Config, executors: Dict[str, str], not_offered: Dict[str, str]) -> Dict[str, Any]:
    """Return the `info` of host-info.

    Args:
        config: may name the system, as agents in virtual machines and containers of a cloud have it.
        executors: what the executors found of themselves, `{"docker": "20.10.24"}`.
        not_offered: why others that this host has are not offered, by name.
    """
    name, version = distribution()
    isolation_type, isolation = isolation_of_host()
    info: Dict[str, Any] = {
        "system": config.system_id or f"{name}-{version}",
        "system_type": os.uname().sysname.lower(),
        "distro_name": name,
        "distro_version": version,
        "isolation_type": isolation_type,
        "isolation": isolation,
        **executors,
        "kraken_fleet_version": __version__,
        "kraken_fleet_host": resources.measure(config.data_dir),
    }
    if not_offered:
        info["kraken_fleet_not_offered"] = dict(not_offered)
    nonce = _nonce(config.nonce_file)
    if nonce is not None:
        info["kraken_fleet_nonce"] = nonce
    return info


def distribution(path: str = "/etc/os-release") -> tuple[str, str]:
    """Return name and version of the Linux distribution, `("debian", "12")`."""
    from kraken_agent.env_file import read_env_file

    try:
        release = read_env_file(path)
    except OSError:
        release = {}
    name = release.get("ID", "linux").lower().replace(" ", "_")
    return _NAMES.get(name, name), release.get("VERSION_ID", "")


def isolation_of_host() -> tuple[str, str]:
    """Return what the agent runs in: `("container", "docker")` or `lxc`, or `("bare-metal", "bare-metal")`."""
    # Docker makes the first of these files, Podman the second; with cgroup v1 the path of the group says it, too.
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv") or "docker" in _text("/proc/self/cgroup"):
        return "container", "docker"
    container = _text("/run/systemd/container").strip() or _initial_variable("container")
    if container == "lxc" or ".lxc" in _text("/proc/self/cgroup") or os.path.exists("/dev/lxd/sock"):
        return "container", "lxc"
    if container == "docker":
        return "container", "docker"
    return "bare-metal", "bare-metal"


def _initial_variable(name: str) -> str:
    """Return a variable of process 1; only root can see it."""
    for assignment in _text("/proc/1/environ").split("\0"):
        key, _, value = assignment.partition("=")
        if key == name:
            return value
    return ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(64 * 1024)
    except OSError:
        return ""


def _nonce(path: str) -> Optional[str]:
    """Return what the provisioner left on this very host, to show that the agent runs on it."""
    if not path or not os.path.isfile(path):
        return None
    return _text(path).strip()[:_LONGEST_NONCE]
