"""Looks at what a host has for its agent: the agent that is there already, and the engines of containers.

Runs on the managed host: standard library only, Python >= 3.8. Nothing is changed on the host.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Iterable, List, Optional

from . import engine
from .finding import Finding, finding
from .installed import installed

_LXD_SOCKETS = ("/var/lib/lxd/unix.socket", "/var/snap/lxd/common/lxd/unix.socket")
_INSTALL = "Install and start it, or take it out of kraken_agent_executors"
_AS_ROOT = "Set ansible_become to true, to look as root"


def check_installed(directory: str, executors: Iterable[str], timeout: float) -> List[Finding]:
    """Look at a host that is an agent, or will be one.

    Args:
        directory: where the agent is, or will be.
        executors: those that the agent has to offer.
        timeout: seconds for each step of an engine's answer.
    """
    return [check_agent(directory), *check_engines(executors, timeout)]


def check_agent(directory: str) -> Finding:
    """Tell which release of the agent is installed in a directory; none is well, too: it may still come."""
    release = installed(directory)
    if release is None:
        return finding("agent", True, "none is installed in %s" % directory)
    there = os.path.isdir(os.path.join(directory, "versions", release))
    return finding(
        "agent",
        there,
        "release %s%s in %s" % (release, "" if there else " is missing", directory),
        "Deploy the host: that installs the release again",
    )


def check_engines(wanted: Iterable[str], timeout: float) -> List[Finding]:
    """Ask the engines of the executors that are wanted, and those that are here anyway.

    Args:
        wanted: executors that the agent has to offer.
        timeout: seconds for each step of an answer.
    """
    wanted = set(wanted)
    found = []
    if not os.environ.get("DOCKER_HOST"):  # the agent asks that engine, which may be on another machine
        found.append(_check("docker", (engine.SOCKET,), "/version", _docker_version, "docker" in wanted, timeout))
    found.append(_check("lxd", _LXD_SOCKETS, "/1.0", _lxd_version, "lxd" in wanted, timeout))
    return [one for one in found if one]


def _check(
    name: str,
    places: Iterable[str],
    path: str,
    version: Callable[[Dict[str, Any]], str],
    is_wanted: bool,
    timeout: float,
) -> Optional[Finding]:
    place = next((one for one in places if os.path.exists(one)), "")
    if not place:
        return finding(name, False, "it is not on this host", _INSTALL) if is_wanted else None
    try:
        return finding(name, True, "%s answers at %s" % (version(engine.get(path, timeout, place)), place))
    except PermissionError:
        return finding(name, None, "%s: this account may not ask it" % place, _AS_ROOT)
    except (OSError, ValueError, LookupError, TypeError) as error:
        why = getattr(error, "strerror", None) or error
        return finding(name, False if is_wanted else None, "%s: %s" % (place, why), "Start it, or look at its log")


def _docker_version(answer: Dict[str, Any]) -> str:
    return "Docker %s" % answer["Version"]


def _lxd_version(answer: Dict[str, Any]) -> str:
    return "LXD %s" % answer["metadata"]["environment"]["server_version"]
