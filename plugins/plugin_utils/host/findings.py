# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of a preflight: what the findings of a host come to, and its log record in ClickHouse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.checks import split_address

from kraken_fleet.errors import FleetError

_LOST = "Open UDP port {port} between the host and the ClickHouse proxy, and check kraken_clickhouse_addr"


def judge(findings: Iterable[dict[str, Any]], marker: str, arguments: Mapping[str, Any], timeout: float) -> None:
    """Complete the finding about the log, on which only the controller has the last word.

    Args:
        findings: of one host; they are changed.
        marker: the word that its log record carries.
        arguments: `clickhouse_addr` and `clickhouse_native_addr` of the task.
        timeout: seconds for the record to arrive.
    """
    for finding in findings:
        if finding["check"] == "logs" and finding["ok"] is None:
            _judge(finding, marker, arguments, timeout)


def complaint(findings: Iterable[Mapping[str, Any]]) -> str:
    """Return what is bad, a line for each, with its remedy; empty when all is well."""
    bad = [finding for finding in findings if finding["ok"] is False]
    return "\n".join(f"{finding['check']}: {finding['detail']}. {finding['remedy']}" for finding in bad)


def _judge(finding: dict[str, Any], marker: str, arguments: Mapping[str, Any], timeout: float) -> None:
    address = arguments.get("clickhouse_native_addr")
    if not address:
        finding["detail"] += "; nobody looked for it, since clickhouse_native_addr is not set"
        return
    # Only here: most plays have no ClickHouse to look at, and every task would pay for the client of Kraken's server.
    from kraken_fleet.network.log_records import clickhouse_search, wait_for_records

    host, port = split_address(address)
    try:
        lost = wait_for_records([marker], clickhouse_search(host, port), timeout=timeout)
    except FleetError as error:
        finding.update(ok=False, detail=str(error), remedy="The controller itself must reach ClickHouse")
        return
    proxy_port = str(arguments["clickhouse_addr"]).rpartition(":")[2]
    finding["ok"] = not lost
    finding["detail"] += " and did not arrive in ClickHouse" if lost else " and arrived in ClickHouse"
    finding["remedy"] = _LOST.format(port=proxy_port) if lost else ""
