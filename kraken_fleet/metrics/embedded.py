"""The embedded server's own health as metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from kraken_fleet.listen import ServerHealth
from kraken_fleet.metrics.families import PREFIX

_EMBEDDED = f"{PREFIX}embedded_"


def health_families(health: ServerHealth) -> Iterator[Metric]:
    """Return the metrics of the server itself. The kinds of limits are few."""
    gauges = (
        ("uptime_seconds", "Seconds since the embedded server was started.", health.uptime),
        ("connections", "Open connections of the embedded server.", health.connections),
        ("connections_limit", "Connections that it may have open.", health.most_connections),
        ("database_bytes", "Size of its database.", health.database_bytes),
    )
    for name, help_text, value in gauges:
        yield GaugeMetricFamily(_EMBEDDED + name, help_text, value=value)
    # The library adds `_total` to the name of a counter, as Prometheus names counters.
    yield CounterMetricFamily(_EMBEDDED + "requests", "Requests since its start.", value=health.requests)
    refused = CounterMetricFamily(_EMBEDDED + "refused", "What it has refused, by limit.", labels=("limit",))
    for kind, count in sorted(health.refused.items()):
        refused.add_metric([kind], count)
    yield refused
