"""The counters of Kraken's web UI."""

from __future__ import annotations

from tests.unit.server.conftest import Api, HandAgent


def test_agents_are_counted_by_whether_they_are_authorized(api: Api) -> None:
    before = api.get("/live-data")
    HandAgent(api).say("get-job")
    HandAgent(api).enrol()
    after = api.get("/live-data")
    assert after["non_authorized_agents"] == before["non_authorized_agents"] + 1
    assert after["authorized_agents"] == before["authorized_agents"] + 1
    assert set(after) == {"error_logs_count", "authorized_agents", "non_authorized_agents"}


def test_it_needs_a_token(api: Api) -> None:
    assert api.call("GET", "/api/live-data", headers={"Authorization": ""}).status_code == 401
