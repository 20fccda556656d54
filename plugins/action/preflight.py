# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of `preflight`: runs the checks on the host, then looks for its log record in ClickHouse."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import findings
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.role_settings import ca_text
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.operating_system import WINDOWS, operating_system

from kraken_fleet.address import ServerAddress
from kraken_fleet.errors import UsageError

_WINDOWS = "This is a Windows host, and only other hosts can be looked at; leave it out with --limit"


class ActionModule(ActionBase):
    """One task for the user: what only the controller can see is added to what the host saw."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        if operating_system(task_vars or {}, self._templar) == WINDOWS:
            return {"failed": True, "msg": _WINDOWS}
        try:
            server = ServerAddress.parse(str(self._task.args.get("server_url") or ""))
            authorities = ca_text(str(self._task.args.get("agent_ca_bundle") or ""))
        except UsageError as error:
            return {"failed": True, "msg": str(error)}
        arguments = {**self._task.args, "server_url": server.agents, "agent_ca_bundle": authorities}
        if self._task.check_mode:
            # Else a record is sent to ClickHouse, to see whether it arrives.
            arguments |= {"clickhouse_addr": "", "clickhouse_native_addr": ""}
        result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        if result.get("failed"):
            return result
        findings.judge(result["findings"], result["marker"], arguments, float(arguments.get("timeout", 5)))
        # Nothing has checked the arguments yet, and a template makes text of a truth value.
        strict = str(arguments.get("strict", True)).lower() not in ("false", "no", "0")
        if strict and (bad := findings.complaint(result["findings"])):
            result.update(failed=True, msg=bad)
        return result
