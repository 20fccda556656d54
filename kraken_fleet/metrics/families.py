"""Metrics of the kind that we have: gauges with labels, all named alike."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.metrics_core import GaugeMetricFamily

PREFIX = "kraken_fleet_"


def counted(
    name: str, help_text: str, labels: tuple[str, ...], counts: Mapping[tuple[str, ...], float]
) -> GaugeMetricFamily:
    """Return a gauge with a sample for each combination of labels."""
    family = GaugeMetricFamily(PREFIX + name, help_text, labels=labels)
    for values, count in sorted(counts.items()):
        family.add_metric(values, count)
    return family
