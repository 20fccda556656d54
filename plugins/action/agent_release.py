# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gets the files of a release for Windows hosts ready, on the controller."""

from __future__ import annotations

from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.windows_files import prepared


class ActionModule(ControllerAction):
    """Writes to the controller's own cache only, in check mode too: nothing of a host is changed."""

    ARGUMENTS = arguments_of("agent_release")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        return {"changed": False, **prepared(arguments)}
