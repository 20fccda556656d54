"""The modules agent and agent_info, in real playbooks against the embedded server."""

from __future__ import annotations

from tests.unit.plugins.task_runs import Stage

ONE, TWO = "127.0.7.1", "127.0.7.2"


def test_agents_are_let_in_and_grouped_once(stage: Stage) -> None:
    stage.speak(ONE)
    stage.speak(TWO)
    wanted = {"agents": [ONE, TWO], "authorized": True, "groups": ["gpu", "big"], "create_groups": True}
    predicted, done, again = stage.thrice("agent", **wanted)
    assert predicted["changed"], predicted
    assert done["changed"]
    assert predicted["changes"] == done["changes"]
    assert not again["changed"]
    assert "diff" not in again
    for result in (predicted, done, again):
        assert [(one["authorized"], one["groups"]) for one in result["agents"]] == [(True, ["all", "big", "gpu"])] * 2
    assert predicted["diff"] == done["diff"]
    assert "authorized: false" in done["diff"]["before"]
    assert "- gpu" in done["diff"]["after"]
    assert stage.agents()[TWO].group_names == {"all", "big", "gpu"}


def test_check_mode_writes_nothing(stage: Stage) -> None:
    stage.speak(ONE)
    stage.join(TWO, "gpu")
    before = stage.agents()
    let_in, regrouped, deleted = stage.play(
        {"kraken_ci.fleet.agent": {"agents": [ONE], "authorized": True, "groups": ["new"], "create_groups": True}},
        {"kraken_ci.fleet.agent": {"agents": [TWO], "enabled": False, "groups": [], "groups_mode": "exact"}},
        {"kraken_ci.fleet.agent": {"agents": [TWO], "state": "absent"}},
        check=True,
    )
    assert let_in["changed"]
    assert regrouped["agents"][0]["groups"] == ["all"]
    assert regrouped["agents"][0]["enabled"] is False
    assert deleted["agents"] == []
    after = stage.agents()
    assert {one: (a.authorized, a.enabled, a.groups) for one, a in before.items()} == {
        one: (a.authorized, a.enabled, a.groups) for one, a in after.items()
    }
    with stage.client as client:
        assert "new" not in {group.name for group in client.groups()}


def test_an_agent_is_disabled_by_its_name_and_enabled_again(stage: Stage) -> None:
    stage.join(ONE)
    off = {"kraken_ci.fleet.agent": {"agents": [ONE], "enabled": False}}
    on = {"kraken_ci.fleet.agent": {"agents": [ONE], "enabled": True}}
    results = stage.play(off, off, on, on)
    assert [result["changed"] for result in results] == [True, False, True, False]
    assert [result["agents"][0]["activity"] for result in results] == ["disabled", "disabled", "idle", "idle"]


def test_what_a_task_does_not_mention_stays(stage: Stage) -> None:
    stage.join(ONE, "gpu", "old")
    merged, exact, again = stage.play(
        {"kraken_ci.fleet.agent": {"agents": [ONE], "groups": ["gpu"]}},
        {"kraken_ci.fleet.agent": {"agents": [ONE], "groups": ["gpu"], "groups_mode": "exact"}},
        {"kraken_ci.fleet.agent": {"agents": [ONE], "groups": ["gpu"], "groups_mode": "exact"}},
    )
    assert not merged["changed"]
    assert exact["changed"]
    assert exact["agents"][0]["groups"] == ["all", "gpu"]
    assert not again["changed"]


def test_authorization_is_taken_back(stage: Stage) -> None:
    stage.join(ONE)
    _, done, again = stage.thrice("agent", agents=[ONE], authorized=False)
    assert (done["changed"], again["changed"]) == (True, False)
    assert done["agents"][0]["activity"] == "discovered"


def test_a_record_is_deleted_and_stays_so(stage: Stage) -> None:
    stage.join(ONE)
    stage.speak(TWO)
    predicted, done, again = stage.thrice("agent", agents=[ONE, TWO], state="absent")
    assert [result["changed"] for result in (predicted, done, again)] == [True, True, False]
    assert done["diff"]["after"] == ""
    assert stage.agents() == {}


def test_mistakes_are_told_with_what_to_do(stage: Stage) -> None:
    stage.join(ONE)
    unknown, no_group, both = stage.play(
        {"kraken_ci.fleet.agent": {"agents": ["127.0.7.99"], "enabled": True}},
        {"kraken_ci.fleet.agent": {"agents": [ONE], "groups": ["nosuch"]}},
        {"kraken_ci.fleet.agent": {"agents": [ONE], "state": "absent", "enabled": True}},
    )
    assert all(result["failed"] for result in (unknown, no_group, both))
    assert "no agent 127.0.7.99" in unknown["msg"]
    assert "once it has spoken" in unknown["msg"]
    assert "no agents group nosuch" in no_group["msg"]
    assert "create_groups" in no_group["msg"]
    assert "state absent" in both["msg"]


def test_a_wrong_password_is_said_and_not_shown(stage: Stage) -> None:
    (result,) = stage.play(
        {"kraken_ci.fleet.agent": {"agents": [ONE], "server_user": "admin", "server_password": "wr0ng-pass"}}
    )
    assert result["failed"]
    assert result["error"]["kind"] == "NotSignedIn"
    assert "wr0ng-pass" not in str(result)


def test_agent_info_tells_what_is_known_and_narrows_it_down(stage: Stage) -> None:
    stage.join(ONE, "gpu", docker="28.1")
    stage.speak(TWO)
    everybody, discovered, members, named = stage.play(
        {"kraken_ci.fleet.agent_info": {}},
        {"kraken_ci.fleet.agent_info": {"authorized": False}},
        {"kraken_ci.fleet.agent_info": {"groups": ["gpu"]}},
        {"kraken_ci.fleet.agent_info": {"agents": [ONE, "127.0.7.99"]}},
    )
    assert not any(result["changed"] for result in (everybody, discovered, members, named))
    assert [one["address"] for one in everybody["agents"]] == [ONE, TWO]
    first = everybody["agents"][0]
    assert (first["system"], first["isolation"]) == ("debian-12", "bare-metal")
    assert first["executors"] == {"local": "", "docker": "28.1"}
    assert first["activity"] == "idle"
    assert everybody["agents"][1]["system"] is None
    assert [one["address"] for one in discovered["agents"]] == [TWO]
    assert [one["address"] for one in members["agents"]] == [ONE]
    assert ([one["address"] for one in named["agents"]], named["missing"]) == ([ONE], ["127.0.7.99"])
