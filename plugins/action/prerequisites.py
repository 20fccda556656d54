# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for Python and Git on a host through its shell alone, and installs them when it may."""

from __future__ import annotations

from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.action import HostAction


class ActionModule(HostAction):
    """One round trip when nothing is missing."""

    ARGUMENTS = arguments_of("prerequisites")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        arguments["install_prerequisites"] = arguments["install"]
        return self.prepared(arguments, task_vars, only_looking=self._task.check_mode)[0]
