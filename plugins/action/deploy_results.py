# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what a deploy has found on its hosts into a file, for a registration in another process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play import host_results

from kraken_fleet.errors import FleetError


class ActionModule(ControllerAction):
    """One call for the whole play. The file is no change of the fleet, so it is never reported as one."""

    ARGUMENTS = arguments_of("deploy_results")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        path = Path(arguments["path"])
        if arguments["state"] == "absent":
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                text = f"The results of an earlier deploy cannot be removed: {error.strerror}"
                raise FleetError(text, where=str(path)) from error
            return {"changed": False}
        # Hosts that have failed too: registration then says so, and does not wait for their agents.
        hosts = task_vars["ansible_play_hosts_all"]
        return {"changed": False, "hosts": host_results.write(task_vars["hostvars"], hosts, path)}
