"""The group `all`, which a server breaks without: it is kept, and healed on a server that somebody broke."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kraken_fleet.errors import RequestRejectedError, ServerFaultError, UnsafeChangeError
from kraken_fleet.model import DesiredAgent, DesiredFleet
from kraken_fleet.reconcile import reconcile
from tests.contract.conftest import _kraken_server
from tests.contract.embedded import Embedded
from tests.contract.hand_agents import (
    HandAgents,
    assert_gets_its_jobs,
    client_of,
    plan_of,
)
from tests.contract.kraken_server import KrakenServer
from tests.contract.workflow import Workflow


@pytest.mark.parametrize("name", ["everyone", "all-2"])
def test_the_group_all_is_neither_deleted_nor_renamed(hand_agents: HandAgents, workflow: Workflow, name: str) -> None:
    with pytest.raises(UnsafeChangeError, match="Will not delete"):
        hand_agents.client.delete_group(1, force=True)
    with pytest.raises(UnsafeChangeError, match="Will not rename"):
        hand_agents.client.rename_group(1, name)
    assert (hand_agents.client.group(1).name, hand_agents.client.group(1).deleted) == ("all", None)
    assert_gets_its_jobs(workflow, "all" if hand_agents.server.kind == "embedded" else workflow.group)


def test_no_second_group_is_called_all(hand_agents: HandAgents) -> None:
    group_id, _ = hand_agents.server.group()
    with pytest.raises(UnsafeChangeError, match="Another agents group is called 'all'"):
        hand_agents.client.rename_group(group_id, "all")
    with pytest.raises(RequestRejectedError, match="already exists"):
        hand_agents.client.create_group("all")
    agent_id, _ = hand_agents.announce()
    hand_agents.client.set_authorized([agent_id])
    assert hand_agents.groups_of(agent_id) == {"all"}


def test_an_exact_reconciliation_leaves_an_agent_in_all(hand_agents: HandAgents, workflow: Workflow) -> None:
    hand_agents.reconcile(DesiredAgent("host", workflow.address, groups_mode="exact"))
    assert hand_agents.groups_of(workflow.agent_id) == {"all"}


@pytest.fixture
def spoilt(tmp_path: Path) -> Iterator[KrakenServer]:
    """An embedded server of the test's own, to be broken."""
    with Embedded.started(tmp_path) as mine:
        yield _kraken_server("embedded", mine.url, "admin", mine.password, mine.plain_user, mine.plain_password)


def test_a_server_whose_all_was_deleted_and_made_again_is_healed(spoilt: KrakenServer) -> None:
    spoilt.api("DELETE", "/groups/1")
    spoilt.api("POST", "/groups", {"name": "all"})
    _heals_all(spoilt)


def test_a_server_with_a_second_group_renamed_to_all_is_healed(spoilt: KrakenServer) -> None:
    group_id, _ = spoilt.group()
    spoilt.api("PUT", f"/groups/{group_id}", {"name": "all"})
    _heals_all(spoilt)
    assert spoilt.api("GET", "/groups/1").body["name"] == "all"


def _heals_all(server: KrakenServer) -> None:
    agent_id, address = server.announce()
    fleet = DesiredFleet((DesiredAgent("host", address, frozenset({"linux"})),))
    with client_of(server) as client:
        with pytest.raises(ServerFaultError) as caught:
            client.set_authorized([agent_id])
        assert "`all` exists twice" in str(caught.value.hint)
        list(reconcile(client, fleet))
        assert {ref.name for ref in client.agent(agent_id).groups} == {"all", "linux"}
        assert not plan_of(list(reconcile(client, fleet))).changes
