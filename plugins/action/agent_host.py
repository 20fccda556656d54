# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of `agent_host`: reads the binaries and sends them along, so that one round trip is enough."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import BINARIES, DATA_DIR, OURS, SCRIPT
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.agents import on_host
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of, read_as
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import findings, role_settings
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.action import HostAction
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.bundles import sent_files
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.program import program_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.telling import what_changed

from kraken_fleet.address import ServerAddress
from kraken_fleet.errors import UsageError

# What the module does, by the variables of the role. They are read here, and not given by the role's task one by one:
# Ansible compiles each template of a task anew for each host.
TASK_OPTIONS = {
    "state": "kraken_agent_state",
    "bundle": "kraken_agent_bundle",
    "bundle_sha256": "kraken_agent_bundle_sha256",
    "bundle_url": "kraken_agent_bundle_url",
    "bundle_version": "kraken_agent_bundle_version",
    "source": "kraken_agent_source",
    "download": "kraken_agent_download",
    "releases": "kraken_agent_releases",
    "predict": "kraken_agent_predict",
    "install_prerequisites": "kraken_prereqs_install",
    "lock_timeout": "kraken_prereqs_lock_timeout",
    "preflight": "kraken_prereqs_preflight",
    "clickhouse_native_addr": "kraken_clickhouse_native_addr",
    "keep_data": "kraken_agent_keep_data",
    "keep_user": "kraken_agent_keep_user",
}
# As the module preflight has them by default; no role sets others.
_LEAST_DISK_MB = 512
_CHECK_SECONDS = 5


class ActionModule(HostAction):
    """What is on the host in module_utils/host does the work; this is what only the controller knows or can see."""

    ARGUMENTS = arguments_of("agent_host")

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        known = task_vars or {}
        try:
            given = self._with_source(known)
            arguments = role_settings.completed(_method(given), given, known, self._templar, TASK_OPTIONS)
            self._task.args = {**arguments, "instances": on_host(arguments.get("instances"), "instances")}
        except UsageError as error:
            return {"failed": True, "msg": str(error)}
        return super().run(tmp, task_vars)

    def _with_source(self, task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the task gives, with the server's script as the source where the role is to install by it."""
        given: dict[str, Any] = self._task.args
        if not read_as("bool", given.get("role_settings"), "role_settings") or "source" in given:
            return given
        method = self._templar.template(task_vars.get("kraken_agent_install_method"))
        return {**given, "source": SCRIPT} if method == SCRIPT else given

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        present = arguments["state"] == "present"
        if present and not arguments["server_url"]:
            raise UsageError("No Kraken server is named for the agent", hint="Set kraken_server_url")
        sent: dict[str, Any] = {
            "binaries": [], "self_checking": False, "install_script": "", "agent": OURS, "ca_bundle": "",
            "allowed_signers": "",
        }  # fmt: skip
        if present:
            server = ServerAddress.parse(arguments["server_url"])
            arguments = {**arguments, "server_url": server.agents}
            sent["install_script"] = server.install_script if arguments["source"] == "script" else ""
            sent["ca_bundle"] = role_settings.ca_text(arguments["ca_bundle"])
        only_looking = self._task.check_mode or arguments["predict"]
        marker = uuid.uuid4().hex
        if present and not arguments["releases"]:
            sent.update(sent_files(arguments))
            role_settings.refuse_for_agent(_method(arguments), arguments, sent["agent"])
        if present:
            sent["upstream_refusals"] = role_settings.refusals_for_upstream(_method(arguments), arguments)
        checks = _checks(arguments, marker, check_mode=self._task.check_mode)
        program = program_of(
            "host.task", self.environment(arguments), {**arguments, **sent, "predict": only_looking, "checks": checks}
        )
        began = datetime.now(UTC)
        prepared, answer = self.prepared(
            arguments, task_vars, program, only_looking=only_looking, without_git=not present
        )
        result = _together(prepared, answer)
        if arguments["predict"]:
            result.update(changed=False, diff=[])
        if result["changed"] and any(change.startswith(("start ", "restart ")) for change in result["changes"]):
            # The controller's time: registration then knows an agent of before from the one that was started now.
            result["started_at"] = began.isoformat()
        if not result.get("failed") and checks:
            findings.judge(result["findings"], marker, arguments, _CHECK_SECONDS)
            if bad := findings.complaint(result["findings"]):
                result.update(failed=True, msg=bad)
        self.tell(what_changed(task_vars["inventory_hostname"], result, predicted=self._task.check_mode))
        return result


def _method(arguments: Mapping[str, Any]) -> str:
    return SCRIPT if arguments.get("source") == SCRIPT else BINARIES


def _checks(arguments: Mapping[str, Any], marker: str, *, check_mode: bool) -> dict[str, Any] | None:
    """Return what the preflight looks at; None when there is none."""
    if not arguments["preflight"] or arguments["state"] == "absent" or arguments["releases"]:
        return None
    return {
        "server": arguments["server_url"],
        "minio_addr": arguments["minio_addr"],
        # A record would be written, if only into the log.
        "clickhouse_addr": "" if check_mode else arguments["clickhouse_addr"],
        "directory": arguments["environment"].get(DATA_DIR) or arguments["dir"],
        "marker": marker,
        "least_disk_mb": _LEAST_DISK_MB,
        "timeout": _CHECK_SECONDS,
        "ca_bundle": "",
    }


def _together(prepared: dict[str, Any], answer: Mapping[str, Any] | None) -> dict[str, Any]:
    """Join the result of what was installed with that of what was done to the agents."""
    given = {"agents": [], "findings": [], **(answer or {})}
    return {
        **prepared,
        **given,
        "changed": prepared["changed"] or given.get("changed", False),
        "changes": [*prepared.get("changes", ()), *given.get("changes", ())],
        "diff": [*prepared.get("diff", ()), *given.get("diff", ())],
    }
