"""The real Prometheus and promtool with our metrics, alert rules and dashboard."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.inventory import Inventory
from kraken_fleet.server.testing import RunningServer, running
from kraken_fleet.web import ConsoleSettings
from tests.console_server import serving
from tests.e2e.prometheus_server import CONTRIB, RULES, prometheus, query
from tests.waiting import eventually

pytestmark = pytest.mark.prometheus

_A, _B = "10.0.0.41", "10.0.0.42"


def _promtool(*arguments: str, folder: Path = CONTRIB / "prometheus", content: str | None = None) -> str:
    done = subprocess.run(
        ["promtool", *arguments], cwd=folder, input=content, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server with two authorized agents, one of them disabled."""
    with running(tmp_path / "server") as found:
        for address in (_A, _B):
            message = {"address": address, "msg": "get-job"}
            requests.post(f"{found.url}/backend", json=message, timeout=60).raise_for_status()
        with KrakenClient(found.url, PasswordCredentials(found.user, found.password)) as client:
            agents = client.agents(unauthorized=True)
            client.set_authorized([agent.id for agent in agents])
            client.disable_agent(next(agent.id for agent in agents if agent.address == _B))
        yield found


def test_the_alert_rules_are_right_and_alert_when_they_should() -> None:
    assert "SUCCESS" in _promtool("check", "rules", RULES)
    assert "SUCCESS" in _promtool("test", "rules", "kraken-fleet.rules.test.yml")


@pytest.mark.timeout(240)
def test_prometheus_scrapes_the_console_and_reads_what_the_dashboard_asks(
    server: RunningServer, tmp_path: Path
) -> None:
    (tmp_path / "hosts.yml").write_text(
        "kraken_agents:\n  hosts:\n"
        f"    build-1: {{kraken_agent_address: {_A}}}\n    build-9: {{kraken_agent_address: 10.0.0.9}}\n"
    )
    settings = ConsoleSettings(server.url, tmp_path / "state", inventory=Inventory([tmp_path / "hosts.yml"]))
    with serving(settings) as console, prometheus(tmp_path, console, server.password) as url:
        eventually(lambda: query(url, "kraken_fleet_server_up == 1"), bool, 120)
        states = {one["metric"]["state"]: one["value"][1] for one in query(url, "kraken_fleet_agents")}
        assert (states["disabled"], states["discovered"]) == ("1", "0")
        seen = {one["metric"]["address"]: one["metric"].get("name") for one in query(url, _LAST_SEEN)}
        assert seen == {_A: "build-1", _B: None}
        (finding,) = query(url, 'kraken_fleet_findings{kind="never_seen"}')
        assert finding["value"][1] == "1"
        for expression in _dashboard():
            answer = requests.get(f"{url}/api/v1/query", params={"query": expression}, timeout=60)
            assert answer.status_code == 200, f"{expression}: {answer.text}"
        text = requests.get(f"{console}/metrics", auth=("admin", server.password), timeout=60).text
    _promtool("check", "metrics", content=text)
    names = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    asked = set(
        re.findall(r"kraken_fleet_\w+", json.dumps(_dashboard()) + (CONTRIB / "prometheus" / RULES).read_text())
    )
    assert {name for name in asked if not name.startswith("kraken_fleet_embedded_")} <= names
    documented = set(
        re.findall(r"^\| `(kraken_fleet_\w+)`", (CONTRIB.parent / "docs/metrics.md").read_text(), re.MULTILINE)
    )
    # A console by itself has no embedded server.
    own = {name for name in documented if name.startswith("kraken_fleet_embedded_")}
    assert documented - own == names - own


_LAST_SEEN = "kraken_fleet_agent_last_seen_seconds"


def _dashboard() -> list[str]:
    panels = json.loads((CONTRIB / "grafana/kraken-fleet.json").read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    return [one.replace("$instance", ".*").replace("$group", ".*") for one in found]
