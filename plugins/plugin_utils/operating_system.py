# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells Windows hosts from the others: the one place that does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WINDOWS, LINUX = "windows", "linux"
_WINDOWS_CONNECTIONS = ("winrm", "psrp")
_WINDOWS_SHELLS = ("powershell", "cmd")
_TEMPLATE = "{{"


def operating_system(variables: Mapping[str, Any], templar: Any) -> str:
    """Say what a host runs, `windows` or `linux`, from how Ansible reaches it. Nothing is asked of the host.

    Args:
        variables: the host's.
        templar: fills in templates in them.
    """
    connection, shell = (
        str(templar.template(variables.get(name) or "")) for name in ("ansible_connection", "ansible_shell_type")
    )
    return WINDOWS if _windows(connection, shell) else LINUX


def could_be_windows(variables: Mapping[str, Any]) -> bool:
    """Say the same without filling in templates: a host that has one in these variables could be."""
    connection, shell = (str(variables.get(name) or "") for name in ("ansible_connection", "ansible_shell_type"))
    return _TEMPLATE in connection + shell or _windows(connection, shell)


def _windows(connection: str, shell: str) -> bool:
    # A connection may be named in full, as in ansible.builtin.winrm.
    return connection.rpartition(".")[2] in _WINDOWS_CONNECTIONS or shell in _WINDOWS_SHELLS
