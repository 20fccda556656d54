"""Metrics are read from either server."""

from __future__ import annotations

from kraken_fleet.metrics import text
from kraken_fleet.model import DesiredAgent, DesiredFleet
from kraken_fleet.reconcile import read_server
from tests.contract.hand_agents import ECHO, HandAgents
from tests.waiting import eventually


def test_jobs_are_seen_waiting_running_and_stranded_with_their_groups(hand_agents: HandAgents) -> None:
    workflow, client = hand_agents.workflow(), hand_agents.client
    workflow.run([ECHO])
    workflow.take_job()
    path = f"/runs/{workflow.run([ECHO])}/jobs"
    eventually(lambda: hand_agents.server.api("GET", path).body["items"], bool)
    fleet = DesiredFleet((DesiredAgent("a", workflow.address, frozenset({workflow.group})),), complete=False)
    reading = read_server(client, fleet)
    mine = [
        [job for job in jobs if job.agents_group_name == workflow.group] for jobs in (reading.waiting, reading.running)
    ]
    assert [len(jobs) for jobs in mine] == [1, 1]
    assert not [job for job in reading.stranded if job.agents_group_name == workflow.group]
    assert reading.plan is not None
    said = text(reading).decode()
    assert f'kraken_fleet_jobs_running{{group="{workflow.group}"}} 1.0' in said
    assert f'kraken_fleet_agent_last_seen_seconds{{address="{workflow.address}",name="a"}}' in said
    client.disable_agent(workflow.agent_id)
    said = text(read_server(client)).decode()
    assert f'kraken_fleet_jobs_stranded{{group="{workflow.group}"}} 1.0' in said
    assert f'kraken_fleet_group_agents{{group="{workflow.group}",state="draining"}} 1.0' in said
    assert "kraken_fleet_drift" not in said
