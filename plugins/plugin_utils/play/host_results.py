# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deploy has found on each host: registered in this play, or written into a file by another process.

Registration authorizes agents by what is in that file. So it is read only when nobody else can have written it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kraken_fleet.errors import FleetError, UsageError
from kraken_fleet.model import RESULTS_VERSION
from kraken_fleet.state import write_json

# What the deploy registers about a host; see roles/kraken_agent.
HOST_RESULT = "__kraken_agent_host"
_OF_AN_AGENT = ("name", "address", "release", "nonce_sha256")
_AGAIN = "Deploy with `--tags agent` and the same kraken_registration_results first"


class HostResults:
    """The results of the hosts of a play.

    Args:
        hostvars: the variable `hostvars` of a task.
        path: the file of another process; empty when the same process has deployed.

    Raises:
        FleetError: the file is missing or cannot be trusted.
    """

    def __init__(self, hostvars: Any, path: str = "") -> None:
        self._hostvars = hostvars
        self._path = path
        self._written = _read(Path(path)) if path else {}
        self._registered: dict[str, Any] = {}

    def of(self, host: str, variables: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Return what is known of a host: `agents`, `changed` and `started_at`; empty when nothing is.

        Args:
            variables: all of the host's, when they are at hand: Ansible takes a millisecond to gather them.
        """
        if host not in self._registered:
            own = self._hostvars.raw_get(host) if variables is None else variables
            self._registered[host] = own.get(HOST_RESULT)
        result = self._registered[host]
        return result if isinstance(result, Mapping) else self._written.get(host, {})

    def failures(self, hosts: Iterable[str]) -> dict[str, str]:
        """Say why hosts have no agent that another process has deployed; empty without a file."""
        found = {}
        for host in hosts if self._path else ():
            if not (result := self.of(host)):
                found[host] = f"{self._path} has no result of its deploy. {_AGAIN}"
            elif why := result.get("failed"):
                found[host] = f"its deploy has failed: {why}" if isinstance(why, str) else "its deploy has failed"
        return found


def write(hostvars: Any, hosts: Iterable[str], path: Path) -> int:
    """Write the results of these hosts into a file that only this account can read.

    Returns:
        how many hosts have a result.

    Raises:
        FleetError: the file cannot be written.
    """
    found = {host: _kept(result) for host, result in _registered(hostvars, hosts)}
    try:
        write_json(path, {"version": RESULTS_VERSION, "hosts": found})
    except OSError as error:
        raise FleetError(f"The results cannot be written: {error.strerror}", where=str(path)) from error
    return len(found)


def _registered(hostvars: Any, hosts: Iterable[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for host in hosts:
        result = hostvars.raw_get(host).get(HOST_RESULT)
        if isinstance(result, Mapping) and not result.get("skipped"):
            yield host, result


def _kept(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a result that registration and proof read, as plain values."""
    if result.get("failed") or result.get("unreachable"):
        kept = {"failed": str(result.get("msg") or "no reason was given")}
        return kept | ({"unreachable": True} if result.get("unreachable") else {})
    agents = [
        {key: str(one[key]) for key in _OF_AN_AGENT if one.get(key) is not None} for one in result.get("agents") or ()
    ]
    started = {"started_at": str(result["started_at"])} if result.get("started_at") else {}
    return {"changed": bool(result.get("changed")), "agents": agents, **started}


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            about = os.fstat(file.fileno())
            if about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o022:
                text = "Others can write this file, and it decides which agents are authorized"
                raise UsageError(text, where=str(path), hint=_AGAIN)
            content = json.load(file)
        if content["version"] != RESULTS_VERSION:
            raise UsageError(f"Its version is not {RESULTS_VERSION}", where=str(path), hint=_AGAIN)
        return {str(host): _kept(_checked(result)) for host, result in content["hosts"].items()}
    except OSError as error:
        raise FleetError(f"The results cannot be read: {error.strerror}", where=str(path), hint=_AGAIN) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FleetError("These are no results of a deploy", where=str(path), hint=_AGAIN) from error


def _checked(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result of a file with the name of a failure's reason as a task's result has it."""
    return {**result, "msg": result.get("failed")}
