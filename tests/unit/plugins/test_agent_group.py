"""The module agent_group, in real playbooks against the embedded server."""

from __future__ import annotations

import json

import pytest

from tests.unit.plugins.task_runs import Stage

ONE = "127.0.7.1"


def _names(stage: Stage) -> set[str]:
    with stage.client as client:
        return {group.name for group in client.groups()}


@pytest.mark.timeout(400)  # nine plays
def test_a_group_is_made_renamed_and_deleted_once_each_and_predicted(stage: Stage) -> None:
    for arguments, diff in (
        ({"name": "gpu"}, ("", "gpu\n")),
        ({"name": "gpu", "new_name": "cuda"}, ("gpu\n", "cuda\n")),
        ({"name": "cuda", "state": "absent"}, ("cuda\n", "")),
    ):
        before = _names(stage)
        (foreseen,) = stage.play({"kraken_ci.fleet.agent_group": arguments}, check=True)
        assert _names(stage) == before, "a prediction changes nothing"
        _, done, again = stage.thrice("agent_group", **arguments)
        assert [result["changed"] for result in (foreseen, done, again)] == [True, True, False]
        assert foreseen["diff"] == done["diff"]
        assert (done["diff"]["before"], done["diff"]["after"]) == diff
        assert "diff" not in again
    assert _names(stage).isdisjoint({"gpu", "cuda"})


def test_a_group_with_agents_is_deleted_only_when_told_and_they_leave_it_first(stage: Stage) -> None:
    stage.join(ONE, "gpu", "other")
    gone = {"name": "gpu", "state": "absent"}
    kept, forced, again = stage.play(
        {"kraken_ci.fleet.agent_group": gone},
        {"kraken_ci.fleet.agent_group": {**gone, "force": True}},
        {"kraken_ci.fleet.agent_group": {**gone, "force": True}},
    )
    assert kept["failed"]
    assert "has 1 agents" in kept["msg"]
    assert "force" in kept["msg"]
    assert (forced["changed"], again["changed"]) == (True, False)
    assert stage.agents()[ONE].group_names == {"all", "other"}


def test_what_a_server_breaks_on_is_refused(stage: Stage) -> None:
    stage.play({"kraken_ci.fleet.agent_group": {"name": "gpu"}}, {"kraken_ci.fleet.agent_group": {"name": "taken"}})
    results = stage.play(
        {"kraken_ci.fleet.agent_group": {"name": "all", "state": "absent", "force": True}},
        {"kraken_ci.fleet.agent_group": {"name": "all", "new_name": "everyone"}},
        {"kraken_ci.fleet.agent_group": {"name": "gpu", "new_name": "taken"}},
        {"kraken_ci.fleet.agent_group": {"name": " "}},
    )
    reasons = ("belongs to the server", "belongs to the server", "two agents groups", "needs a name")
    for result, said in zip(results, reasons, strict=True):
        assert result["failed"]
        assert said in result["msg"]
    assert {"all", "gpu", "taken"} <= _names(stage)


def test_a_name_is_made_again_after_the_deleted_group_has_given_it_up(stage: Stage) -> None:
    made = {"kraken_ci.fleet.agent_group": {"name": "gpu"}}
    first, _, second = stage.play(made, {"kraken_ci.fleet.agent_group": {"name": "gpu", "state": "absent"}}, made)
    with stage.client as client:
        assert client.group(first["group"]["id"]).name == f"gpu-deleted-{first['group']['id']}"
        assert client.group(second["group"]["id"]).name == "gpu"


def test_a_change_is_written_into_the_audit_log_with_the_playbook(stage: Stage) -> None:
    log = stage.folder / "audit.log"
    stage.play({"kraken_ci.fleet.agent_group": {"name": "logged"}}, KRAKEN_FLEET_AUDIT_LOG=str(log))
    (line,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert (line["program"], line["action"]) == ("ansible-playbook book.yml", "create group")
    assert (line["targets"], line["account"], line["result"]) == (["logged"], stage.server.user, "ok")
