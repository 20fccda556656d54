"""Agents groups, and the changes that break a real server: refused, or done the safe way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import RequestRejectedError, UnsafeChangeError
from kraken_fleet.model import AgentsGroup
from tests.unit.api.fake_kraken import FakeKraken
from tests.unit.api.recorded import Reply, Request, agent_json, group_json, problem


def _writes(fake: FakeKraken) -> list[tuple[str, str]]:
    return [(one.method, one.path) for one in fake.requests if one.method != "GET" and one.path != "/sessions"]


def test_groups_are_read_and_created(fake: FakeKraken, client: KrakenClient) -> None:
    created = client.create_group("gpu", project_id=1)
    assert (created.id, created.name, created.project_id) == (2, "gpu", 1)
    assert [group.name for group in client.groups()] == ["all", "gpu"]
    assert client.group(2) == created


def test_a_group_without_a_project_sends_none(fake: FakeKraken, client: KrakenClient) -> None:
    client.create_group("gpu")
    assert fake.bodies("POST", "/groups") == [{"name": "gpu"}]  # a null would be refused


def test_several_groups_cost_one_look_and_one_call_each(fake: FakeKraken, client: KrakenClient) -> None:
    client.groups()
    calls = []
    for number in (1, 12):
        before = len(fake.requests)
        made = client.create_groups(f"g{number}-{index}" for index in range(number))
        assert [group.name for _, group in made if isinstance(group, AgentsGroup)] == [name for name, _ in made]
        calls.append(len(fake.requests) - before)
    assert calls[1] - calls[0] == 11
    assert calls[0] == 1 + 5 + 1 + 1, "the living groups, the ids beyond the newest, the group, the living ones again"


def test_the_names_of_several_groups_are_taken_from_deleted_ones(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups |= {2: group_json(2, "a", deleted="2026-11-23T16:29:57Z"), 3: group_json(3, "here")}
    fake.groups |= {n: group_json(n, name, deleted="2026-11-23T16:29:57Z") for n, name in ((4, "b"), (5, "other"))}
    made = dict(client.create_groups(["a", "b", "here"]))
    assert [row["name"] for row in fake.groups.values()] == [
        "all",
        "a-deleted-2",
        "here",
        "b-deleted-4",
        "other",
        "a",
        "b",
    ]
    assert made["here"] == client.group(3)
    writes = [path for method, path in _writes(fake) if method == "POST"]
    assert len(writes) == 2
    assert _writes(fake)[0][0] == "PUT", "a name is free before it is taken"


def test_of_several_groups_one_that_cannot_be_does_not_stop_the_others(fake: FakeKraken, client: KrakenClient) -> None:
    fake.script("POST", "/groups", problem(400, "Unknown project"))
    made = dict(client.create_groups(["a", " ", "b"]))
    assert isinstance(made["a"], RequestRejectedError)
    assert isinstance(made[" "], UnsafeChangeError)
    assert isinstance(made["b"], AgentsGroup)


def test_of_several_groups_one_that_somebody_else_makes_meanwhile_is_taken(
    fake: FakeKraken, client: KrakenClient
) -> None:
    fake.groups[2] = group_json(2, "gpu")
    fake.script("GET", "/groups", Reply(body={"items": [group_json(1, "all")], "total": 1}))
    ((_, group),) = client.create_groups(["gpu"])
    assert isinstance(group, AgentsGroup)
    assert group.id == 2


def test_of_two_groups_that_two_clients_made_at_once_the_older_one_stays(
    fake: FakeKraken, client: KrakenClient
) -> None:
    def both(request: Request) -> Reply:
        for number in (7, 8):
            fake.groups[number] = group_json(number, "gpu")
        return Reply(201, fake.groups[8])

    fake.on("POST", "/groups", both)
    assert client.create_group("gpu").id == 7
    assert (fake.groups[8]["name"], bool(fake.groups[8]["deleted"])) == ("gpu-deleted-8", True)
    assert (fake.groups[7]["name"], fake.groups[7]["deleted"]) == ("gpu", None)


def test_a_taken_name_is_rejected_by_the_server(fake: FakeKraken, client: KrakenClient) -> None:
    client.create_group("gpu")
    with pytest.raises(RequestRejectedError, match="Group with name gpu already exists"):
        client.create_group("gpu")


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name_is_never_sent(fake: FakeKraken, client: KrakenClient, name: str) -> None:
    changes: list[Callable[[], object]] = [lambda: client.create_group(name), lambda: client.rename_group(1, name)]
    for change in changes:
        with pytest.raises(UnsafeChangeError, match="needs a name"):
            change()
    assert fake.requests == []


def test_the_group_all_is_neither_deleted_nor_renamed(fake: FakeKraken, client: KrakenClient) -> None:
    with pytest.raises(UnsafeChangeError, match="Will not delete the agents group 'all'"):
        client.delete_group(1, force=True)
    with pytest.raises(UnsafeChangeError, match="Will not rename the agents group 'all'"):
        client.rename_group(1, "everyone")
    assert _writes(fake) == []


def test_renaming(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups[2] = group_json(2, "gpu")
    assert client.rename_group(2, "cuda").name == "cuda"
    assert client.rename_group(2, "cuda").name == "cuda"
    assert _writes(fake) == [("PUT", "/groups/2")]


def test_renaming_to_a_taken_name_is_refused(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups |= {2: group_json(2, "gpu"), 3: group_json(3, "cuda")}
    with pytest.raises(UnsafeChangeError, match="Another agents group is called 'cuda'"):
        client.rename_group(2, "cuda")
    assert _writes(fake) == []


def test_renaming_an_unknown_group_is_a_rejection_and_no_server_fault(fake: FakeKraken, client: KrakenClient) -> None:
    with pytest.raises(RequestRejectedError, match="Cannot find agent group with id 99"):
        client.rename_group(99, "q")


def test_deleting_frees_the_name_first(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups[2] = group_json(2, "gpu")
    client.delete_group(2)
    assert _writes(fake) == [("PUT", "/groups/2"), ("DELETE", "/groups/2")]
    assert fake.groups[2]["name"] == "gpu-deleted-2"
    assert fake.groups[2]["deleted"]


def test_deleting_again_does_nothing(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups[2] = group_json(2, "gpu")
    client.delete_group(2)
    client.delete_group(2)
    assert len(_writes(fake)) == 2


def test_deleting_one_that_others_deleted_only_frees_its_name(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups[2] = group_json(2, "gpu", deleted="2026-11-23T16:29:57Z")
    client.delete_group(2)
    assert _writes(fake) == [("PUT", "/groups/2")]
    assert fake.groups[2]["name"] == "gpu-deleted-2"


def test_a_delete_that_was_cut_off_after_the_rename_is_finished(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups[2] = group_json(2, "gpu-deleted-2")
    client.delete_group(2)
    assert _writes(fake) == [("DELETE", "/groups/2")]


def test_a_group_with_agents_is_not_deleted(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups[2] = group_json(2, "gpu", agents_count=1)
    with pytest.raises(UnsafeChangeError, match=r"'gpu' has agents \(1\)"):
        client.delete_group(2)
    assert _writes(fake) == []


def test_forced_its_agents_are_moved_out_and_keep_their_other_groups(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups |= {2: group_json(2, "gpu", agents_count=2), 3: group_json(3, "big")}
    everything, gpu = [{"id": 1, "name": "all"}, {"id": 2, "name": "gpu"}], [{"id": 2, "name": "gpu"}]
    fake.agents = {1: agent_json(1, groups=[*everything, {"id": 3, "name": "big"}]), 3: agent_json(3)}
    fake.agents[2] = agent_json(2, groups=gpu, authorized=False)
    client.delete_group(2, force=True)
    assert fake.bodies("PUT", "/agents/1") == [{"groups": [{"id": 1}, {"id": 3}]}]
    assert fake.bodies("PUT", "/agents/2") == [{"groups": []}]
    assert fake.count("PUT", "/agents/3") == 0
    assert fake.groups[2]["deleted"]


def test_a_name_that_a_deleted_group_has_is_made_usable_on_creation(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups |= {n: group_json(n, "gpu", deleted="2026-11-23T16:29:57Z") for n in (2, 4)}
    fake.groups[3] = group_json(3, "other", deleted="2026-11-23T16:29:57Z")
    created = client.create_group("gpu")
    assert [n for n, row in fake.groups.items() if row["name"] == "gpu"] == [created.id]
    assert fake.groups[3]["name"] == "other"
    assert fake.groups[2]["deleted"]


def test_a_name_that_a_deleted_group_has_is_made_usable_on_renaming(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups |= {2: group_json(2, "gpu", deleted="2026-11-23T16:29:57Z"), 3: group_json(3, "cuda")}
    client.rename_group(3, "gpu")
    assert [n for n, row in fake.groups.items() if row["name"] == "gpu"] == [3]


def test_healing_says_what_it_renamed_and_leaves_the_living_one(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups |= {2: group_json(2, "X", deleted="2026-11-23T16:29:57Z"), 6: group_json(6, "X")}
    assert [group.name for group in client.heal_group_name("X")] == ["X-deleted-2"]
    assert client.heal_group_name("X") == ()
    assert fake.groups[6]["name"] == "X"


def test_healing_asks_for_no_more_ids_than_allowed_and_begins_with_the_newest(
    fake: FakeKraken, client: KrakenClient
) -> None:
    fake.groups |= {n: group_json(n, "X", deleted="2026-11-23T16:29:57Z") for n in range(2, 50)}
    fake.groups[50] = group_json(50, "X")
    assert [group.id for group in client.heal_group_name("X", max_calls=8)] == [49, 48, 47]
    assert len([one for one in fake.requests if one.method == "GET" and one.path != "/groups"]) == 8


def test_deleted_groups_are_looked_at_once(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups |= {n: group_json(n, f"old-{n}", deleted="2026-11-23T16:29:57Z") for n in range(2, 20)}
    for name in ("a", "b", "c"):
        client.create_group(name)
    assert [fake.count("GET", f"/groups/{n}") for n in range(2, 20)] == [1] * 18


def test_a_deleted_group_newer_than_every_living_one_is_found_across_a_gap(
    fake: FakeKraken, client: KrakenClient
) -> None:
    fake.groups |= {2: group_json(2, "X"), 6: group_json(6, "X", deleted="2026-11-23T16:29:57Z")}
    assert [group.id for group in client.heal_group_name("X")] == [6]


def test_an_id_that_was_free_is_looked_at_again_when_it_is_taken(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups[2] = group_json(2, "X")
    assert client.heal_group_name("X") == ()
    fake.groups[3] = group_json(3, "X", deleted="2026-11-23T16:29:57Z")
    assert [group.id for group in client.heal_group_name("X")] == [3]


def test_a_group_created_while_healing_is_left_alone(fake: FakeKraken, client: KrakenClient) -> None:
    fake.groups |= {2: group_json(2, "X")}
    fake.script("GET", "/groups", Reply(body={"items": [group_json(1, "all")], "total": 1}))
    assert client.heal_group_name("X") == ()
    assert fake.groups[2]["name"] == "X"
