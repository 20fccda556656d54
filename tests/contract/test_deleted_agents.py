"""Deleting an agent, and what becomes of it when it speaks again."""

from __future__ import annotations

import time

from tests.contract.kraken_server import KrakenServer
from tests.contract.records import agent_record, timeless


def _listed(server: KrakenServer, query: str) -> set[int]:
    return {agent["id"] for agent in server.api("GET", f"/agents?limit=100000{query}").body["items"]}


def test_a_deleted_agent_is_off_the_lists_but_its_id_answers(server: KrakenServer, peer: str) -> None:
    agent_id, address = server.announce(authorized=True)
    for _ in range(2):
        said = server.api("DELETE", f"/agents/{agent_id}")
        assert (said.status, said.body) == (200, {})
    assert agent_id not in _listed(server, "")
    assert agent_id not in _listed(server, "&unauthorized=true")
    record = timeless(server.api("GET", f"/agents/{agent_id}").body)
    groups = record["groups"]  # emptied by a background job
    assert record == agent_record(agent_id, address, peer, deleted="<time>", disabled=True, groups=groups)


def test_a_deleted_agent_can_be_authorized_and_stays_deleted(server: KrakenServer) -> None:
    agent_id, _ = server.announce()
    server.api("DELETE", f"/agents/{agent_id}")
    assert server.api("PATCH", "/agents", [{"id": agent_id, "authorized": True}]).body == {}
    record = server.api("GET", f"/agents/{agent_id}").body
    assert record["authorized"] is True
    assert record["deleted"] is not None


def test_a_deleted_agent_that_speaks_again_is_back_under_its_id(server: KrakenServer) -> None:
    agent_id, address = server.announce(authorized=True)
    server.api("DELETE", f"/agents/{agent_id}")
    assert server.agent(address, "get-job2").body == {"unauthorized": True}
    record = server.api("GET", f"/agents/{agent_id}").body
    assert (record["deleted"], record["authorized"], record["disabled"]) == (None, False, True)
    assert agent_id in _listed(server, "&unauthorized=true")


def test_the_diagnostics_tell_when_a_deletion_is_over(server: KrakenServer) -> None:
    agent_id, _ = server.announce()
    server.api("DELETE", f"/agents/{agent_id}")
    call = f"kraken.server.bg.jobs.destroy_machine({agent_id})"
    deadline = time.monotonic() + 100  # what other tests have left in the queue comes first
    while True:
        said = server.api("GET", "/diagnostics")
        found = [job for job in said.body["rq"]["finished_jobs"] if job["description"] == call]
        if found or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    assert said.status == 200
    (deletion,) = found
    assert (deletion["func_name"], deletion["status"]) == ("kraken.server.bg.jobs.destroy_machine", "finished")
    assert deletion["enqueued_at"] <= deletion["ended_at"]
    assert said.body["rq"]["open"] is True
