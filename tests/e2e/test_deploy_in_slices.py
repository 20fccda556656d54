"""`kraken-fleet deploy`: what the playbook does, in one piece and in slices on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.loopback_fleet import Fleet, Played
from tests.e2e.slices import command_in_slices
from tests.json_answers import check_answer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def deploy(fleet: Fleet, *arguments: str) -> Played:
    return command_in_slices(fleet, "deploy", *arguments)


def events(done: Played) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.text.splitlines() if line.startswith("{")]


def test_a_deploy_in_slices_does_what_one_in_a_piece_does(new_fleet: Callable[..., Fleet]) -> None:
    fleet = new_fleet("one", "two", "three", "broken")
    fleet.variables.update({"kraken_registration_trust": "attested", "kraken_agent_groups": ["sliced"]})
    (fleet.directory / "file").touch()
    fleet.host("broken")["kraken_agent_dir"] = str(fleet.directory / "file" / "agent")

    done = deploy(fleet, "--slices", "2", "--workers", "2", "--json")
    assert done.code == 2, done.text
    told = events(done)
    check_answer(["deploy", "--json"], done.text)
    (sliced,) = (event for event in told if event["event"] == "Sliced")
    assert sliced["slices"] == {"1": 2, "2": 2}
    assert told[-1]["event"] == "Ended"
    assert told[-1]["failed"].keys() == {"broken"}
    states = {event["host"]: event["state"] for event in told if event["event"] == "HostDone"}
    assert states == {"one": "changed", "two": "changed", "three": "changed", "broken": "failed"}
    assert "one: proven, job" in done.message
    agents = fleet.agents().values()
    assert [agent.group_names for agent in agents] == [{"all", "sliced"}] * 3
    assert all(agent.enabled for agent in agents)
    assert fleet.server.password not in done.text
    assert [path.name for path in (fleet.directory / "state" / "slices").iterdir()] == ["lock"]

    again = deploy(fleet, "--slices", "3", "--limit", "one:two:three", "--check", "--json")
    assert again.code == 0, again.text
    states = {event["host"]: event["state"] for event in events(again) if event["event"] == "HostDone"}
    assert states == {"one": "ok", "two": "ok", "three": "ok"}
    whole = deploy(fleet, "--limit", "one:two:three", "--check", "-v")
    assert (whole.code, set(whole.changed.values())) == (0, {0}), whole.text


def test_secrets_for_workers_are_refused_before_anything_is_done(new_fleet: Callable[..., Fleet]) -> None:
    fleet = new_fleet("one")
    fleet.host("one")["ansible_become_password"] = "hidden"
    done = deploy(fleet, "--slices", "2")
    assert done.code == 1
    assert "host one, variable ansible_become_password: It has the name of a secret, and is not sent" in done.message
    assert "hidden" not in done.text
    assert not fleet.home("one").exists()
