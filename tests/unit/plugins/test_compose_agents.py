"""Agents beside a compose project: what is said of a change, and that deploys work on it one after another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.kraken_ci.fleet.plugins.action import compose_agents
from ansible_collections.kraken_ci.fleet.plugins.module_utils import compose_project
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import lock
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError
from ansible_collections.kraken_ci.fleet.plugins.modules import compose_agents as module

COMPOSE = """
name: kraken
services:
  server: {image: server, networks: [lab_net]}
networks:
  lab_net: {}
"""
WANTED: dict[str, Any] = {
    "compose_file": "/srv/kraken/compose.yaml",
    "subnet": "172.20.0.0/16",
    "image": "kkagent:2.0",
    "agents": [{"name": "one", "address": "172.20.0.11"}, {"name": "two", "address": "172.20.0.12"}],
}


class EndedError(Exception):
    """The module has ended: what it answered."""


class FakeModule:
    """An AnsibleModule that hands its answer to the test."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = params

    def exit_json(self, **answer: Any) -> None:
        raise EndedError(answer)

    def fail_json(self, **answer: Any) -> None:
        raise EndedError({"failed": True, **answer})


def seen(override: str = "", running: tuple[str, ...] = (), **other: str) -> dict[str, Any]:
    project = {"compose_text": COMPOSE, "env_text": "", "override_text": override, "agent": "ours", **other}
    return {**project, "subnets": {}, "running": [*running]}


def planned(wanted: Mapping[str, Any], host: Mapping[str, Any]) -> tuple[list[str], str]:
    decided, _act = compose_agents._present(wanted, host)
    return decided["changes"], decided["override"]


def test_each_agent_is_named_with_the_image_that_it_had_and_gets() -> None:
    first, override = planned({**WANTED, "image": "kkagent:1.0"}, seen())
    assert first == ["start agent one of image kkagent:1.0", "start agent two of image kkagent:1.0"]
    now = seen(override, ("one", "two"))
    assert planned({**WANTED, "image": "kkagent:1.0"}, now)[0] == []
    assert planned(WANTED, now)[0][0] == "recreate agent one from image kkagent:1.0 to kkagent:2.0"
    fewer = {**WANTED, "image": "kkagent:1.0", "agents": WANTED["agents"][:1]}
    assert planned(fewer, now)[0] == ["take out agent two"]
    assert planned({**WANTED, "image": "kkagent:1.0"}, seen(override, ("one",)))[0] == ["start agent two"]
    assert compose_agents._absent(now)[0]["changes"] == ["take out agent one", "take out agent two"]
    shown = compose_agents._agents(override)
    assert shown[1] == {"name": "two", "address": "172.20.0.12", "release": "kkagent:1.0"}


def test_krakens_own_image_gets_host_and_port_and_no_variable_that_it_does_not_know() -> None:
    told = {**WANTED, "server_url": "http://kraken:6363", "minio_addr": "kraken:9999", "clickhouse_addr": "kraken:9001"}
    services = yaml.safe_load(planned(told, seen(agent="upstream"))[1])["services"]
    assert services["one"]["environment"] == ["KRAKEN_CLICKHOUSE_ADDR=kraken:9001", "KRAKEN_SERVER_ADDR=kraken:6363"]
    by_env_file = seen(agent="upstream", env_text="KRAKEN_SERVER_ADDR=http://server:6363\n")
    services = yaml.safe_load(planned(WANTED, by_env_file)[1])["services"]
    assert services["two"]["environment"] == ["KRAKEN_CLICKHOUSE_ADDR", "KRAKEN_SERVER_ADDR=server:6363"]
    as_krakens_own = seen(agent="upstream", env_text="KRAKEN_SERVER_ADDR=server:6363\n")
    services = yaml.safe_load(planned(WANTED, as_krakens_own)[1])["services"]
    assert services["two"]["environment"] == ["KRAKEN_CLICKHOUSE_ADDR", "KRAKEN_SERVER_ADDR"]
    with pytest.raises(HostError, match="reaches its server over http only"):
        planned({**WANTED, "server_url": "https://kraken"}, seen(agent="upstream"))


def test_krakens_own_agent_is_not_waited_for_when_it_is_stopped() -> None:
    theirs, ours = (planned(WANTED, seen(agent=agent))[1] for agent in ("upstream", "ours"))
    assert yaml.safe_load(theirs)["services"]["one"]["stop_grace_period"] == "5s"
    assert yaml.safe_load(ours)["services"]["one"]["stop_grace_period"] == "330s"
    drain = {"drain_seconds": 60}
    assert [compose_agents._stop_seconds(drain, text) for text in (theirs, ours, "")] == [5, 90, 90]


def answer(monkeypatch: pytest.MonkeyPatch, directory: Path, **given: Any) -> dict[str, Any]:
    """What the module answers to the order to take all agents out."""
    defaults = {name: option.get("default") for name, option in module.ARGUMENTS.items()}
    params = {**defaults, "compose_file": str(directory / "compose.yaml"), "operation": "remove", **given}
    monkeypatch.setattr(module, "AnsibleModule", lambda **_options: FakeModule(params))
    with pytest.raises(EndedError) as ended:
        module.main()
    return dict(ended.value.args[0])


def test_a_second_deploy_waits_and_does_not_act_by_what_it_saw_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    override = tmp_path / module.OVERRIDE_NAME
    override.write_text("services: {}\n")
    looked_at = compose_project.digest(str(override))
    with lock.held(f"compose {override}", 0):
        refused = answer(monkeypatch, tmp_path, looked_at=looked_at, lock_timeout=0)
        assert "Another deploy works on this host: process" in refused["msg"]
    override.write_text("services: {three: {}}\n")
    assert answer(monkeypatch, tmp_path, looked_at=looked_at) == {"changed": False, "outdated": True}
    assert override.exists(), "what the other deploy has made stays"
    looked_at = compose_project.digest(str(override))
    assert answer(monkeypatch, tmp_path, looked_at=looked_at) == {"changed": True, "outdated": False}
    assert not override.exists()


@pytest.mark.parametrize("before", ["", "services: {one: {}}\n"])
def test_what_could_not_be_started_is_tried_again_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    override = tmp_path / module.OVERRIDE_NAME
    if before:
        override.write_text(before)

    def fails(_project: object, _services: object) -> None:
        raise compose_project.ComposeError("docker compose up failed: no such directory")

    monkeypatch.setattr(compose_project.Project, "start", fails)
    given = {"operation": "apply", "override": "services: {two: {}}\n", "services": ["two"]}
    said = answer(monkeypatch, tmp_path, looked_at=compose_project.digest(str(override)), **given)
    assert said == {"failed": True, "msg": "docker compose up failed: no such directory"}
    assert compose_project.read_text(str(override), optional=True) == before


def test_what_others_change_between_look_and_act_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([None, None, {"changed": False, "changes": []}])
    action = object.__new__(compose_agents.ActionModule)
    monkeypatch.setattr(action, "_looked_and_acted", lambda *_given: next(looks), raising=False)
    assert action._settled({"compose_file": "/srv/compose.yaml"}, {}) == {"changed": False, "changes": []}
    monkeypatch.setattr(action, "_looked_and_acted", lambda *_given: None, raising=False)
    gave_up = action._settled({"compose_file": "/srv/compose.yaml"}, {})
    assert gave_up["failed"]
    assert "Other deploys have changed the agents beside /srv/compose.yaml" in gave_up["msg"]
