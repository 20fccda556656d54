# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts of a deploy stand in plays of their own, so that all others need but one task.

Ansible starts a process for each host of each task, also to find out that the host is skipped. So what only some hosts
need is not asked of each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.operating_system import LINUX, could_be_windows
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.inventory import SERVER_RESULT

# What the deploy registers about the proofs; see roles/kraken_verify.
PROOF_RESULT = "__kraken_verify"
_BINARIES = "binaries"


def needs_more(variables: Mapping[str, Any]) -> bool:
    """Say whether a host may need more than the task that installs binaries on Linux.

    Templates are not filled in: where there is one, it may.

    Args:
        variables: the host's, as they are written.
    """
    if variables.get("kraken_agent_install_method", _BINARIES) != _BINARIES:
        return True
    if "kraken_agent_os" in variables:
        return bool(variables["kraken_agent_os"] != LINUX)
    return could_be_windows(variables)


def with_another(some: list[str], hosts: Iterable[str]) -> list[str]:
    """Add one more of the hosts to some of them, when there is one.

    Ansible ends a playbook, for all other hosts too, when every host of a play fails.
    """
    chosen = set(some)
    return [*some, *[host for host in hosts if host not in chosen][:1]] if some else []


def has_results(variables: Mapping[str, Any]) -> bool:
    """Say whether registration or proof has run for a host."""
    return SERVER_RESULT in variables or PROOF_RESULT in variables


def failed_hosts(variables: Mapping[str, Any]) -> dict[str, str]:
    """Say which hosts have failed in registration or proof, and why.

    Args:
        variables: of any host that was there; what runs once is registered for all of them.
    """
    return _failed(variables, PROOF_RESULT) | unregistered_hosts(variables)


def unregistered_hosts(variables: Mapping[str, Any]) -> dict[str, str]:
    """Say the same of registration alone."""
    return _failed(variables, SERVER_RESULT)


def _failed(variables: Mapping[str, Any], name: str) -> dict[str, str]:
    result = variables.get(name)
    return dict(result.get("failed_hosts") or {}) if isinstance(result, Mapping) else {}
