# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks, before anything is done to a host, whether the server answers and the account may do what a deploy does."""

from __future__ import annotations

from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction, client_of

from kraken_fleet.errors import FleetError


class ActionModule(ControllerAction):
    """One call for the whole play; changes nothing, in check mode as without."""

    ARGUMENTS = arguments_of("server_access")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        try:
            with client_of(arguments) as client:
                version = client.version()  # the server tells it to nobody who is not signed in
                client.groups()  # and these to administrators only
                return {"changed": False, "server": client.url, "version": version}
        except FleetError as error:
            text = f"Nothing was done to any host, for the server cannot be used: {error}"
            return {"failed": True, "msg": text, "error": error.as_dict()}
