"""Looks for log records in ClickHouse: a host reaches the log only when its record has arrived there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from kraken_fleet.errors import NetworkError

# The proxy writes its batch at the latest after one second of silence (clickhouse-proxy/src/main.rs).
PROXY_DELAY_SECONDS = 1.0


def wait_for_records(
    markers: Iterable[str],
    arrived: Callable[[set[str]], set[str]],
    *,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> set[str]:
    """Wait until every marker was seen or the time is over.

    Args:
        markers: the words that the records carry.
        arrived: given the markers still missing, tells which of them are there now.
        timeout: seconds.
        clock, sleep: for tests.

    Returns:
        The markers that never arrived.
    """
    missing = set(markers)
    deadline = clock() + timeout
    while missing:
        missing -= arrived(missing)
        if not missing or clock() >= deadline:
            break
        sleep(PROXY_DELAY_SECONDS / 4)
    return missing


def clickhouse_search(host: str, port: int = 9000, timeout: float = 5.0) -> Callable[[set[str]], set[str]]:
    """Return a search for `wait_for_records` that asks ClickHouse itself, over its native protocol.

    Raises:
        NetworkError: the package clickhouse-driver is not installed.
    """
    try:
        from clickhouse_driver import Client
    except ImportError as error:
        raise NetworkError(
            "Looking into ClickHouse needs the Python package clickhouse-driver",
            hint="Install kraken-fleet[logs]",
        ) from error
    client = Client(host=host, port=port, connect_timeout=timeout, send_receive_timeout=timeout)

    def arrived(markers: set[str]) -> set[str]:
        return _ask(client, markers, f"clickhouse://{host}:{port}")

    return arrived


def _ask(client: Any, markers: set[str], where: str) -> set[str]:
    from clickhouse_driver.errors import Error

    query = "SELECT DISTINCT tool FROM logs WHERE service = 'preflight' AND tool IN %(markers)s"
    try:
        rows = client.execute(query, {"markers": tuple(sorted(markers))})
    except (Error, OSError) as error:
        raise NetworkError(
            f"ClickHouse does not answer: {error}".splitlines()[0],
            where=where,
            hint="Name an address of ClickHouse (native protocol, port 9000) that this machine reaches",
        ) from error
    return {str(tool) for (tool,) in rows}
