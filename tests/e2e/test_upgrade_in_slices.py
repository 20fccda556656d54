"""`kraken-fleet upgrade` in slices on this machine: batch by batch, with proof and the way back."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kraken_fleet.model import is_own_group
from tests.background import looking
from tests.e2e.loopback_fleet import Fleet, Played
from tests.e2e.slices import begun_in_slices, command_in_slices
from tests.e2e.upgrade_helpers import release_of
from tests.json_answers import check_answer
from tests.unique_names import unique_name

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

HOSTS = [f"host-{number}" for number in range(1, 9)]


@pytest.fixture
def fleet(new_fleet: Callable[..., Fleet]) -> Fleet:
    made = new_fleet(*HOSTS)
    # What earlier tests have left disabled in a group of the server counts for the budget of this one.
    made.variables["kraken_agent_groups"] = [unique_name("team")]
    done = made.play("deploy-agents.yml", "-e", "kraken_verify_enabled=false", ANSIBLE_FORKS="8")
    assert done.code == 0, done.text
    return made


def upgrade(fleet: Fleet, *arguments: str) -> Played:
    done = command_in_slices(fleet, "upgrade", "--slices", "2", "--workers", "2", "--json", *arguments)
    check_answer(["upgrade", "--json"], done.text)
    return done


def events(done: Played, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in done.text.splitlines() if line.startswith("{")]
    return [event for event in lines if event["event"] == kind]


def releases(fleet: Fleet) -> dict[str, str]:
    return {host: (fleet.home(host) / "current").readlink().name for host in HOSTS}


def test_batches_of_slices_upgrade_all_hosts_and_never_disable_more_than_the_budget(fleet: Fleet) -> None:
    before, released = fleet.agents(), releases(fleet)
    fleet.variables["kraken_agent_bundle_version"] = "2.0"
    fleet.variables["kraken_upgrade_serial"] = "50%"
    with fleet.client() as client:
        client.disable_agent(before[fleet.host("host-8")["kraken_agent_address"]].id)
    most = [0]
    (team,) = fleet.variables["kraken_agent_groups"]

    def look() -> None:
        out = [agent for agent in fleet.agents().values() if agent.disabled or team not in agent.group_names]
        most[0] = max(most[0], len(out))

    predicted = upgrade(fleet, "--check")
    assert predicted.code == 0, predicted.text
    assert "host-1: would be drained and upgraded" in predicted.message
    assert releases(fleet) == released
    with looking(look):
        done = upgrade(fleet)
    assert done.code == 0, done.text
    batches = [one["hosts"] for one in events(done, "BatchStarted")]
    assert batches == [["host-1", "host-2", "host-3", "host-8"], ["host-4", "host-5", "host-6"], ["host-7"]]
    assert "host-1: proven, job" in done.message
    assert "host-1: enabled" in done.message
    assert 1 < most[0] <= 4, "of eight, half may be out, with the one that a person has disabled"
    after = fleet.agents()
    assert [host for host, name in releases(fleet).items() if not name.startswith("2.0-")] == []
    assert [host for host in HOSTS if after[fleet.host(host)["kraken_agent_address"]].disabled] == ["host-8"]
    assert {one.address: one.groups for one in after.values()} == {one.address: one.groups for one in before.values()}
    with fleet.client() as client:
        assert [group.name for group in client.groups() if is_own_group(group.name)] == []

    pids = [fleet.pid(host) for host in HOSTS]
    again = upgrade(fleet)
    assert (again.code, events(again, "BatchStarted")) == (0, []), again.text
    assert [fleet.pid(host) for host in HOSTS] == pids


def test_a_host_whose_release_does_not_work_goes_back_and_no_batch_follows(fleet: Fleet, tmp_path: Path) -> None:
    released = releases(fleet)
    fleet.variables["kraken_agent_bundle_version"] = "2.0"
    fleet.host("host-2").update(release_of("import sys; sys.exit('broken')", tmp_path / "broken"))
    done = upgrade(fleet, "-e", "kraken_upgrade_serial=2")
    assert done.code == 2, done.text
    (ended,) = events(done, "Ended")
    assert ended["failed"].keys() == {"host-2"}
    assert f"The host runs {released['host-2']} again" in ended["failed"]["host-2"]
    now = releases(fleet)
    assert now["host-1"].startswith("2.0-")
    assert {host: now[host] for host in HOSTS[1:]} == {host: released[host] for host in HOSTS[1:]}
    assert "host-2: proven, job" in done.message
    assert "Batch 1 of 4 has failed hosts: 6 hosts are left as they are" in done.message
    assert not any(agent.disabled for agent in fleet.agents().values())


def test_an_interrupted_upgrade_enables_what_was_not_begun_and_names_the_rest(fleet: Fleet) -> None:
    released = releases(fleet)
    fleet.variables.update({"kraken_agent_bundle_version": "2.0", "kraken_upgrade_serial": "50%"})
    upgrading = begun_in_slices(fleet, "upgrade", "--slices", "2", "--workers", "1")
    upgrading.until(lambda one: one["event"] == "BatchStarted")
    upgrading.until(lambda one: one["event"] == "HostStarted")
    assert sum(agent.disabled for agent in fleet.agents().values()) == 4
    upgrading.process.send_signal(signal.SIGTERM)
    rest, _ = upgrading.process.communicate()
    assert upgrading.process.returncode == 130, rest
    error = json.JSONDecoder().raw_decode(rest, rest.index('{\n  "ok"'))[0]["error"]
    assert error["kind"] == "Stopped"
    before, _, names = error["message"].partition("nobody knows whether they work: ")
    assert before, error
    named = names.split(", ")
    assert len(named) == 2, "the hosts of one slice"
    assert "kraken-fleet agents enable" in error["hint"]
    agents, now = fleet.agents(), releases(fleet)
    assert [host for host in HOSTS if agents[fleet.host(host)["kraken_agent_address"]].disabled] == named
    assert {host for host in HOSTS if now[host] != released[host]} <= {*named}

    again = upgrade(fleet)
    assert again.code == 0, again.text
    assert {*named} <= {*events(again, "BatchStarted")[0]["hosts"]}
    assert not any(agent.disabled for agent in fleet.agents().values())
    assert [host for host, name in releases(fleet).items() if not name.startswith("2.0-")] == []
