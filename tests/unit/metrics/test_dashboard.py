"""The dashboard for Grafana: it asks for numbers that there are, and its panels have room."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

from kraken_fleet.listen import ServerHealth
from kraken_fleet.metrics.embedded import health_families

DASHBOARD = Path(__file__).parents[3] / "contrib/grafana/kraken-fleet.json"


def _panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def test_it_shows_each_number_of_the_embedded_servers_own_health() -> None:
    health = ServerHealth(1.0, 2, 3, 4, {"connections": 5}, 6)
    told = {sample.name for family in health_families(health) for sample in family.samples}
    expressions = " ".join(target["expr"] for panel in _panels() for target in panel["targets"])
    assert set(re.findall(r"kraken_fleet_embedded_\w+", expressions)) == told


def test_no_two_panels_overlap_and_each_has_a_number_of_its_own() -> None:
    panels = _panels()
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
