"""Draining, enabling and upgrading agents with the playbooks, on loopback hosts with real agents."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kraken_fleet.api import KrakenClient
from kraken_fleet.model import is_own_group
from tests.background import looking
from tests.e2e.loopback_fleet import Fleet
from tests.e2e.upgrade_helpers import VERIFY_SECONDS, release_of, start_long_job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NewFleet = Callable[..., Fleet]
DEPLOY, DRAIN, ENABLE, UPGRADE = "deploy-agents.yml", "drain-agents.yml", "enable-agents.yml", "upgrade-agents.yml"
REMOVE = "remove-agents.yml"
UNPROVEN = ("-e", "kraken_verify_enabled=false")


def enabled(fleet: Fleet) -> dict[str, bool]:
    """Whether each host's agent may have jobs."""
    found = fleet.agents()
    hosts = fleet.inventory["kraken_agents"]["hosts"]
    return {name: found[one["kraken_agent_address"]].enabled for name, one in hosts.items()}


def test_agents_are_drained_and_enabled_again_save_those_that_are_to_stay_out(new_fleet: NewFleet) -> None:
    fleet = new_fleet("one", "two")
    assert fleet.play(DEPLOY, *UNPROVEN).code == 0

    predicted = fleet.play(DRAIN, "--check", "--diff")
    assert enabled(fleet) == {"one": True, "two": True}
    drained = fleet.play(DRAIN, "--diff")
    assert drained.code == 0, drained.text
    assert drained.diffs == predicted.diffs
    assert enabled(fleet) == {"one": False, "two": False}
    assert not any(fleet.play(DRAIN).changed.values())

    fleet.host("two")["kraken_agent_enabled"] = False
    predicted = fleet.play(ENABLE, "--check", "--diff")
    done = fleet.play(ENABLE, "--diff")
    assert done.code == 0, done.text
    assert done.diffs == predicted.diffs
    assert enabled(fleet) == {"one": True, "two": False}
    assert not any(fleet.play(ENABLE).changed.values())


def test_no_batch_follows_one_in_which_a_host_failed(new_fleet: NewFleet) -> None:
    fleet = new_fleet("a", "b", "c")
    fleet.host("a")["kraken_agent_groups"] = ["held"]
    assert fleet.play(DEPLOY, *UNPROVEN).code == 0
    batches = ("-e", "kraken_registration_serial=2", "-e", "kraken_registration_drain_timeout=1")
    strict = (*batches, "-e", "kraken_registration_max_fail_percentage=0")
    with fleet.client() as client:
        run = start_long_job(client, "held", seconds=1500)
        for playbook in (DRAIN, REMOVE):
            stopped = fleet.play(playbook, *strict)
            assert stopped.failed == {"a": True, "b": False}, stopped.text
            assert "still runs a job" in stopped.message
            assert enabled(fleet) == {"a": False, "b": False, "c": True}
        went_on = fleet.play(DRAIN, *batches)
        assert went_on.failed == {"a": True, "b": False, "c": False}, went_on.text
        assert not any(enabled(fleet).values())
        client.cancel_run(run)
    done = fleet.play(ENABLE, *strict)
    assert done.code == 0, done.text
    assert done.changed == {"a": 1, "b": 0, "c": 1}, "one call to the server for each batch"


def want(fleet: Fleet, version: str, kkagent: str = "") -> None:
    """Asks for another release: the agent under another name, or a program in its place."""
    fleet.variables["kraken_agent_bundle_version"] = version
    if kkagent:
        fleet.variables.update(release_of(kkagent, fleet.directory / version))


def current(fleet: Fleet, host: str) -> str:
    """The release that a host has."""
    return (fleet.home(host) / "current").readlink().name


def test_an_upgrade_lets_a_job_end_proves_each_agent_and_then_has_nothing_to_do(new_fleet: NewFleet) -> None:
    fleet = new_fleet("one", "two")
    fleet.host("one")["kraken_agent_groups"] = ["slow"]
    assert fleet.play(DEPLOY, *UNPROVEN).code == 0
    before = fleet.agents()
    with fleet.client() as client:
        # Somebody has taken this one out of service, which is no business of an upgrade.
        client.disable_agent(before[fleet.host("two")["kraken_agent_address"]].id)
        run = start_long_job(client, "slow")

        want(fleet, "2.0")
        predicted = fleet.play(UPGRADE, "--check")
        assert predicted.code == 0, predicted.text
        assert enabled(fleet) == {"one": True, "two": False}
        done = fleet.play(UPGRADE, "-v")
        assert done.code == 0, done.text
        (job,) = client.run_jobs(run)
        assert job.succeeded, job
        own = [group.name for group in client.groups() if is_own_group(group.name)]
    assert own == [], "groups that are there for an upgrade and its proofs are gone after it"
    assert [current(fleet, host).partition("-")[0] for host in ("one", "two")] == ["2.0", "2.0"]
    assert done.text.count('"log_line": "kraken-fleet-proof-') == 2
    assert enabled(fleet) == {"one": True, "two": False}
    groups = {address: agent.group_names for address, agent in before.items()}
    assert {address: agent.group_names for address, agent in fleet.agents().items()} == groups

    pids = [fleet.pid("one"), fleet.pid("two")]
    again = fleet.play(UPGRADE)
    assert again.changed == {"one": 0, "two": 0}, again.text
    assert [fleet.pid("one"), fleet.pid("two")] == pids


def test_an_upgrade_leaves_each_group_an_agent_at_work(new_fleet: NewFleet) -> None:
    fleet = new_fleet("gpu-1", "gpu-2", "other")
    fleet.inventory["kraken_group_gpu"] = {"hosts": {"gpu-1": {}, "gpu-2": {}}}
    fleet.host("other")["kraken_agent_groups"] = ["other"]
    assert fleet.play(DEPLOY, *UNPROVEN).code == 0
    want(fleet, "2.0")
    fleet.variables["kraken_upgrade_serial"] = "100%"
    seen: set[int] = set()
    with fleet.client() as client, looking(lambda: seen.add(at_work(client, "gpu"))):
        done = fleet.play(UPGRADE)
    assert done.code == 0, done.text
    assert [current(fleet, host).partition("-")[0] for host in ("gpu-1", "gpu-2", "other")] == ["2.0"] * 3
    assert done.text.count("PLAY [Upgrade Kraken agents]") == 2
    assert seen == {1, 2}

    want(fleet, "3.0")
    fleet.variables["kraken_upgrade_max_unavailable"] = 2
    assert fleet.play(UPGRADE, "--check").text.count("PLAY [Upgrade Kraken agents]") == 1
    fleet.variables["kraken_upgrade_max_unavailable"] = "some"
    refused = fleet.play(UPGRADE)
    assert refused.code != 0
    assert "'some' is no number of hosts or agents" in refused.message


def at_work(client: KrakenClient, group: str) -> int:
    """How many agents of a group may have jobs."""
    return sum(agent.enabled for agent in client.agents() if group in agent.group_names)


@pytest.mark.parametrize(
    ("kkagent", "said"),
    [
        ("import sys; sys.exit('it cannot start')", "it cannot start"),
        ("import time; time.sleep(600)", f"no agent has taken the job in {VERIFY_SECONDS} s"),
    ],
    ids=["one that ends at once", "one that does no job"],
)
def test_a_version_that_does_not_work_is_taken_back_and_ends_the_upgrade(
    new_fleet: NewFleet, kkagent: str, said: str
) -> None:
    fleet = new_fleet("one", "two")
    assert fleet.play(DEPLOY, *UNPROVEN).code == 0
    good, untouched = current(fleet, "one"), fleet.pid("two")

    want(fleet, "bad", kkagent)
    done = fleet.play(UPGRADE, "-e", "kraken_upgrade_serial=1", "-e", f"kraken_upgrade_verify_timeout={VERIFY_SECONDS}")
    assert done.code != 0
    assert done.failed["one"]
    assert said in done.message
    assert f"The host runs {good} again and has jobs as before" in done.message
    assert done.text.count("PLAY [Upgrade Kraken agents]") == 1, "the next batch was begun"
    assert [current(fleet, host) for host in ("one", "two")] == [good, good]
    assert fleet.pid("two") == untouched
    assert enabled(fleet) == {"one": True, "two": True}


def test_an_agent_that_does_not_come_to_rest_is_left_as_it_is(new_fleet: NewFleet) -> None:
    fleet = new_fleet("one")
    fleet.host("one")["kraken_agent_groups"] = ["restless"]
    assert fleet.play(DEPLOY, *UNPROVEN).code == 0
    good, pid = current(fleet, "one"), fleet.pid("one")
    want(fleet, "2.0")
    with fleet.client() as client:
        run = start_long_job(client, "restless", seconds=1500)
        done = fleet.play(UPGRADE, "-e", "kraken_upgrade_drain_timeout=1")
        assert done.failed["one"]
        assert "still runs a job after 1 s" in done.message
        assert current(fleet, "one") == good
        assert fleet.pid("one") == pid
        assert enabled(fleet) == {"one": True}
        client.cancel_run(run)
