"""What Kraken's own agent (kkagent 1.7.36) needs on a host besides its files, and what its own installation leaves.

It runs `/opt/kraken/kktool`, whatever directory it was started from, unpacks itself below its home, and removes the
directories of old jobs by `sudo rm`. Its command `install` makes links, a directory for each version, a unit below
/lib and a rule of sudo; its update makes the links anew. kraken-fleet's own agent needs none of it.
"""

from __future__ import annotations

import os
from typing import Dict, Iterator, List, Mapping

from . import opening
from .changes import Change, HostError
from .files import Attributes, absent, directory, point_link, read_text, text_file
from .setting import UPSTREAM
from .spec import AgentSpec, source_address

NAMES = ("kkagent", "kktool")
_NOT_VERSIONS = ("versions", "current", "data", "bin")
# Spelled out, since a variable of a unit's EnvironmentFile replaces PATH and cannot add to it.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHIM_HEADER = "#!/bin/sh\n# Written by kraken-fleet for Kraken's own agent, which removes old jobs by `sudo rm`.\n"
_SHIM = (
    _SHIM_HEADER
    + """\
# This account may remove its own jobs without sudo. Nothing here gives anybody more than that.
if [ "$1" = rm ] && [ "$2" = -rf ] && [ $# -gt 2 ]; then
  shift 2
  for path; do
    case "$path" in
      */../* | */..) jobs=no ;;
      "{data}/jobs/"*) ;;
      *) jobs=no ;;
    esac
  done
  [ "$jobs" = no ] || exec rm -rf -- "$@"
fi
echo "sudo: this agent has no sudo; set kraken_agent_sudo to true to give it to all jobs of this host" >&2
exit 1
"""
)


def variables(params: Mapping[str, object], where: str, given: Mapping[str, str]) -> Dict[str, str]:
    """Make the variables that it needs besides those of the table: a home to unpack itself to, and the small `sudo`.

    Args:
        params: the module's parameters.
        where: its directory.
        given: the other variables of kraken.env.
    """
    found = {"HOME": given.get("HOME", given["KRAKEN_DATA_DIR"])}
    if not params["sudo"]:
        found["PATH"] = f"{where}/bin:{given.get('PATH', _PATH)}"
    return found


def address(wanted: str, given: Mapping[str, str], server: str) -> str:
    """Return the address that it is going to claim.

    Args:
        wanted: the one that the inventory names; empty for none.
        given: the variables of kraken.env.

    Raises:
        HostError: the inventory names another one.
    """
    # Kraken's own agent looks at these two variables before it looks at its network.
    if "KRAKEN_AGENT_SLOT" in given:
        claimed = f"agent.{given['KRAKEN_AGENT_SLOT']}"
    else:
        claimed = "agent" if "KRAKEN_AGENT_BUILTIN" in given else source_address(server)
    if wanted and claimed and wanted != claimed:
        raise HostError(
            f"kraken_agent_address is {wanted}, and Kraken's own agent claims {claimed}, the address of "
            f"the interface that reaches {server}. Take kraken_agent_address out, or install kraken-fleet's agent"
        )
    return claimed


def check(spec: AgentSpec) -> None:
    """Refuse what only the host can tell that it cannot do.

    Raises:
        HostError: it would update itself and then not be started again.
    """
    if spec.agent == UPSTREAM and spec.update == "server" and spec.manager != "systemd":
        raise HostError(
            "kraken_agent_update is server, and Kraken's own agent ends when it has updated itself; only systemd "
            "starts it again. Set kraken_agent_update to managed"
        )


def updates_itself(spec: AgentSpec) -> bool:
    """Tell whether it is Kraken's own agent, and replaces its own files."""
    return spec.agent == UPSTREAM and spec.update == "server"


def needs(spec: AgentSpec, owner: Attributes) -> Iterator[Change]:
    """Bring links and the small `sudo`, before the agent is started.

    Args:
        owner: whose the links are; its mode is not used.
    """
    if spec.agent != UPSTREAM:
        return
    for name in NAMES:
        link, wanted = os.path.join(spec.directory, name), f"current/{name}"
        now = opening.link_target(link)
        if now != wanted and not (updates_itself(spec) and _leads_to_version(spec.directory, now)):
            yield _linking(link, wanted, now or "", owner)
    if not spec.sudo:
        # Root's own where root deploys: jobs run as the agent's account, and must not change what it calls sudo.
        roots = (owner.owner and "root", owner.group and "root")
        yield from directory(os.path.join(spec.directory, "bin"), Attributes(0o755, *roots))
        yield from text_file(_shim(spec.directory), _SHIM.format(data=spec.data), Attributes(0o755, *roots))


def needless(spec: AgentSpec) -> Iterator[Change]:
    """Remove what this agent does not need, once it has been started: an earlier one may have run from it."""
    if updates_itself(spec):
        return
    links = () if spec.agent == UPSTREAM else _links(spec.directory)
    shim = _shims(spec.directory) if spec.agent != UPSTREAM or spec.sudo else ()
    unpacked = [".shiv"] if opening.is_directory(os.path.join(spec.directory, ".shiv")) else []
    for name in (*links, *shim, *versions(spec.directory), *unpacked):
        yield from absent(os.path.join(spec.directory, name))


def traces(where: str) -> List[str]:
    """Name everything in the agent's directory that it, its installation or a deploy of it has left."""
    return [*_links(where), *_shims(where), *versions(where), ".shiv"]


def versions(where: str) -> List[str]:
    """Name the directories that its own installation and its updates have made: `1.7.36`."""
    found = [name for name in opening.names(where) if name not in _NOT_VERSIONS and not name.startswith(".")]
    return sorted(name for name in found if set(NAMES) <= set(opening.names(os.path.join(where, name))))


def updated_to(spec: AgentSpec) -> str:
    """Return the version that it has updated itself to; empty while it runs the one that was deployed."""
    target = opening.link_target(os.path.join(spec.directory, "kkagent"))
    updated = updates_itself(spec) and target is not None and _leads_to_version(spec.directory, target)
    return os.path.basename(os.path.dirname(target or "")) if updated and target != "current/kkagent" else ""


def _leads_to_version(where: str, target: "str | None") -> bool:
    return target is not None and os.path.basename(os.path.dirname(target)) in (*versions(where), "current")


def _links(where: str) -> List[str]:
    return [name for name in NAMES if opening.link_target(os.path.join(where, name)) is not None]


def _shim(where: str) -> str:
    return os.path.join(where, "bin", "sudo")


def _shims(where: str) -> List[str]:
    """Name the directory of the small `sudo`, unless somebody has put more into it."""
    only = opening.names(os.path.join(where, "bin")) == ["sudo"]
    return ["bin"] if only and (read_text(_shim(where)) or "").startswith(_SHIM_HEADER) else []


def _linking(link: str, wanted: str, now: str, owner: Attributes) -> Change:
    return Change(
        f"point {link} at {wanted}",
        lambda: point_link(link, wanted, owner),
        before=f"{now}\n" if now else "",
        after=f"{wanted}\n",
        before_header=link,
    )
