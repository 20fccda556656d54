"""The controller's half of `preflight`: runs the checks on the host, then looks for its log record in ClickHouse."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.kraken_ci.fleet.plugins.module_utils.preflight import split_address

from kraken_fleet.errors import FleetError
from kraken_fleet.network.log_proof import clickhouse_search, wait_for_records

_WINDOWS = "This is a Windows host, and what looks at hosts is a program in Python for the others"
_LOST = "Open UDP port {port} between the host and the ClickHouse proxy, and check kraken_clickhouse_addr"


class ActionModule(ActionBase):
    """One task for the user: what only the controller can see is added to what the host saw."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        if self._connection._shell.SHELL_FAMILY == "powershell":
            return {"failed": True, "msg": _WINDOWS}
        result: dict[str, Any] = self._execute_module(task_vars=task_vars)
        if result.get("failed"):
            return result
        arguments = self._task.args
        for finding in result["findings"]:
            if finding["check"] == "logs" and finding["ok"] is None:
                _judge(finding, result["nonce"], arguments)
        strict = arguments.get("strict", True)
        bad = [finding for finding in result["findings"] if finding["ok"] is False]
        if bad and str(strict).lower() not in ("false", "no", "0"):
            result.update(failed=True, msg="\n".join(_line(finding) for finding in bad))
        return result


def _judge(finding: dict[str, Any], nonce: str, arguments: dict[str, Any]) -> None:
    address = arguments.get("clickhouse_native_addr")
    if not address:
        finding["detail"] += "; nobody looked for it, since clickhouse_native_addr is not set"
        return
    host, port = split_address(address)
    try:
        lost = wait_for_records([nonce], clickhouse_search(host, port), timeout=float(arguments.get("timeout", 5)))
    except FleetError as error:
        finding.update(ok=False, detail=str(error), remedy="The controller itself must reach ClickHouse")
        return
    proxy_port = str(arguments["clickhouse_addr"]).rpartition(":")[2]
    finding["ok"] = not lost
    finding["detail"] += " and did not arrive in ClickHouse" if lost else " and arrived in ClickHouse"
    finding["remedy"] = _LOST.format(port=proxy_port) if lost else ""


def _line(finding: dict[str, Any]) -> str:
    return f"{finding['check']}: {finding['detail']}. {finding['remedy']}"
