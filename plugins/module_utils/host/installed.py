"""What is installed in an agent's directory: which release, and whose agent it is."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any, Dict, List, Mapping, Optional

from . import opening
from .release import Binary, Release, content_of
from .setting import OURS, UPSTREAM

# The names of releases as deploys and agents give them; anything else was put there by hand, or by a job.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*\Z")
_MANIFEST = "MANIFEST.json"  # as kraken_fleet.bundle writes it


def installed(directory: str) -> Optional[str]:
    """Return the release that `current` points at, None when there is none."""
    name = os.path.basename(opening.link_target(os.path.join(directory, "current")) or "")
    return name if _PLAIN.match(name) else None


def agent_of(content: bytes) -> str:
    """Tell whose agent a file is: `ours`, unless it is known to be Kraken's own (a file made by shiv)."""
    names = _names_in(content)
    upstream = _MANIFEST not in names and any(name.startswith("site-packages/kraken/agent/") for name in names)
    return UPSTREAM if upstream else OURS


def _names_in(content: bytes) -> List[str]:
    """Name the files in an archive; none when it is no archive."""
    import io
    import zipfile  # Imported here, as most hosts have nothing to unpack.

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return []


def agent_on_host(directory: str, name: str) -> str:
    """Tell the same of a release that is on the host."""
    path = os.path.join(directory, "versions", name, "kkagent")
    return agent_of(opening.read_bytes(path, opening.MOST_BYTES) or b"")


def has(directory: str, agent: str) -> bool:
    """Tell whether a release of this agent is what `current` points at."""
    name = installed(directory)
    return name is not None and agent_on_host(directory, name) == agent


def is_own(directory: str, name: str) -> bool:
    """Tell whether a release on the host was built by kraken-fleet: its file then lists its own content."""
    content = opening.read_bytes(os.path.join(directory, "versions", name, "kkagent"), opening.MOST_BYTES)
    return _MANIFEST in _names_in(content or b"")


def known_agent(parameters: Mapping[str, Any]) -> Dict[str, Any]:
    """Find out whose agent is about to come, when the controller has not seen the file; what it takes is downloaded.

    Args:
        parameters: of the task on the host.

    Returns:
        The same with `agent`; the content of a file that was downloaded is among its `binaries`.

    Raises:
        HostError: the file cannot be had, or is damaged.
    """
    if parameters.get("agent", OURS) or parameters["releases"]:
        return dict(parameters)
    signers = parameters["allowed_signers"]
    given = [Binary(one["name"], one["sha256"], None, one["url"], signers) for one in parameters["binaries"]]
    release = Release(parameters["bundle_version"], given)
    there = os.path.join(parameters["dir"], "versions", release.name, "kkagent")
    content = opening.read_bytes(there, opening.MOST_BYTES)
    kept: List[Dict[str, Any]] = [dict(one) for one in parameters["binaries"]]
    if content is None or hashlib.sha256(content).hexdigest() != given[0].sha256.lower():
        content = content_of(given[0])
        kept[0]["fetched"] = content
    return {**parameters, "agent": agent_of(content), "binaries": kept}
