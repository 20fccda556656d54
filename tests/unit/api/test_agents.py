"""Agents: whole lists, bulk changes, paced deletes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import RequestRejectedError, ServerFaultError, UnexpectedAnswerError
from kraken_fleet.model import GroupRef
from tests.unit.api.fake_kraken import FakeKraken
from tests.unit.api.recorded import Reply, agent_json


def test_an_agent_is_read_whole(fake: FakeKraken, client: KrakenClient) -> None:
    info = {"system": "debian-12", "system_type": "linux", "docker": "20.10.24"}
    job = {"id": 7, "name": "j", "run_id": 3, "state": 3, "steps": []}
    fake.agents[1] = agent_json(1, host_info=info, job=job, unheard_of={"by": "us"})
    agent = client.agent(1)
    assert (agent.id, agent.address, agent.authorized, agent.disabled) == (1, "127.0.9.1", True, False)
    assert agent.groups == (GroupRef(1, "all"),)
    assert agent.created == datetime(2026, 11, 23, 16, 29, 57, tzinfo=UTC)
    assert agent.host_info is not None
    assert (agent.host_info.system, agent.host_info.executors) == ("debian-12", {"local": "", "docker": "20.10.24"})
    assert agent.job is not None
    assert (agent.job.id, agent.job.run_id) == (7, 3)


def test_both_lists_come_apart(fake: FakeKraken, client: KrakenClient) -> None:
    fake.agents = {
        1: agent_json(1),
        2: agent_json(2, authorized=False),
        3: agent_json(3, deleted="2026-01-01T00:00:00Z"),
    }
    assert [agent.id for agent in client.agents()] == [1]
    assert [agent.id for agent in client.agents(unauthorized=True)] == [2]


def test_a_list_is_read_to_its_end_from_a_server_that_gives_ten_at_a_time(
    fake: FakeKraken, client: KrakenClient
) -> None:
    fake.page_maximum = 10
    fake.agents = {n: agent_json(n) for n in range(1, 26)}
    assert sorted(agent.id for agent in client.agents()) == list(range(1, 26))
    starts = [one.query["start"] for one in fake.requests if one.path == "/agents"]
    assert starts == ["0", "10", "20"]


def test_an_ordinary_server_is_asked_once_for_hundreds_of_agents(fake: FakeKraken, client: KrakenClient) -> None:
    fake.agents = {n: agent_json(n) for n in range(1, 301)}
    assert len(client.agents()) == 300
    assert fake.count("GET", "/agents") == 1


def test_a_list_that_shrinks_while_it_is_read_is_read_again(fake: FakeKraken, client: KrakenClient) -> None:
    rows = [agent_json(n) for n in range(1, 5)]
    fake.script("GET", "/agents", Reply(body={"items": rows[:2], "total": 4}))
    fake.script("GET", "/agents", Reply(body={"items": rows[3:], "total": 3}))  # 1 was deleted, so 3 moved to page 1
    fake.agents = {n: agent_json(n) for n in (2, 3, 4)}
    assert sorted(agent.id for agent in client.agents()) == [2, 3, 4]


def test_a_list_whose_total_is_a_lie_ends(fake: FakeKraken, client: KrakenClient) -> None:
    fake.on("GET", "/agents", lambda request: Reply(body={"items": [], "total": 5}))
    assert client.agents() == ()
    assert fake.count("GET", "/agents") == 3


@pytest.mark.parametrize(
    "body", [{"items": [], "total": "5"}, {"items": {}}, {"items": [{"id": 1}], "total": 1}, {"items": [5], "total": 1}]
)
def test_a_list_of_the_wrong_shape_is_an_unexpected_answer(
    fake: FakeKraken, client: KrakenClient, body: object
) -> None:
    fake.script("GET", "/agents", Reply(body=body))
    with pytest.raises(UnexpectedAnswerError, match=r"GET .*/agents"):
        client.agents()


def test_one_page_with_what_it_is_sorted_by(fake: FakeKraken, client: KrakenClient) -> None:
    fake.agents = {n: agent_json(n) for n in range(1, 8)}
    page = client.agents_page(start=2, limit=3, sort_field="last_seen", sort_dir="desc")
    assert ([agent.id for agent in page.items], page.total, page.start) == ([3, 4, 5], 7, 2)
    assert fake.requests[-1].query["sort_field"] == "last_seen"
    assert fake.requests[-1].query["sort_dir"] == "desc"


def test_a_negative_start_never_reaches_the_server_that_fails_on_it(fake: FakeKraken, client: KrakenClient) -> None:
    with pytest.raises(ValueError, match="negative"):
        client.agents_page(start=-1)
    assert fake.requests == []


def test_many_are_authorized_in_one_request_each_once(fake: FakeKraken, client: KrakenClient) -> None:
    fake.agents = {n: agent_json(n, authorized=False) for n in (1, 2, 3)}
    client.set_authorized([3, 1, 3])
    assert fake.bodies("PATCH", "/agents") == [[{"id": 1, "authorized": True}, {"id": 3, "authorized": True}]]
    client.set_authorized([1], authorized=False)
    assert [fake.agents[n]["authorized"] for n in (1, 2, 3)] == [False, False, True]


def test_authorizing_nobody_asks_nothing(fake: FakeKraken, client: KrakenClient) -> None:
    client.set_authorized([])
    assert fake.requests == []


def test_an_unknown_agent_leaves_all_as_they_were(fake: FakeKraken, client: KrakenClient) -> None:
    fake.agents = {1: agent_json(1, authorized=False)}
    with pytest.raises(RequestRejectedError, match="Cannot find agent 9"):
        client.set_authorized([1, 9])
    assert fake.agents[1]["authorized"] is False


def test_a_failing_authorization_points_at_the_group_all(fake: FakeKraken, client: KrakenClient) -> None:
    fake.agents = {1: agent_json(1)}
    fake.groups[2] = {**fake.groups[1], "id": 2, "deleted": "2026-11-23T16:29:57Z"}
    with pytest.raises(ServerFaultError) as caught:
        client.set_authorized([1])
    assert "`all` exists twice" in str(caught.value.hint)


def test_groups_replace_the_whole_set(fake: FakeKraken, client: KrakenClient) -> None:
    fake.agents = {1: agent_json(1)}
    client.create_group("gpu")
    agent = client.set_agent_groups(1, [2, 1, 2])
    assert agent.group_names == {"all", "gpu"}
    assert fake.bodies("PUT", "/agents/1") == [{"groups": [{"id": 1}, {"id": 2}]}]


def test_disabling_is_sent_alone(fake: FakeKraken, client: KrakenClient) -> None:
    fake.agents = {1: agent_json(1)}
    assert client.disable_agent(1).disabled
    assert fake.bodies("PUT", "/agents/1") == [{"disabled": True}]


def test_deleting_several_yields_each_that_is_done(fake: FakeKraken, client: KrakenClient) -> None:
    fake.agents = {n: agent_json(n) for n in (1, 2, 3)}
    assert list(client.delete_agents([3, 1])) == [1, 3]
    assert [agent.id for agent in client.agents()] == [2]


def test_the_jobs_of_an_agent_come_newest_first_and_not_all_of_them(fake: FakeKraken, client: KrakenClient) -> None:
    job = {"id": 9, "name": "j", "state": 5, "completion_status": 0, "agent_id": 1, "agent_name": "a", "steps": []}
    fake.on("GET", "/agents/1/jobs", lambda request: Reply(body={"items": [job], "total": 4000}))
    jobs = client.agent_jobs(1, limit=1)
    assert [(one.id, one.succeeded, one.agent_name) for one in jobs] == [(9, True, "a")]
    assert fake.requests[-1].query["limit"] == "1"
