"""The plays of deploy-agents.yml: what an ordinary host costs, and hosts that stand in plays of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.loopback_fleet import Fleet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NewFleet = Callable[..., Fleet]
DEPLOY = "deploy-agents.yml"


def test_a_host_with_nothing_to_do_has_one_task_and_skips_none(new_fleet: NewFleet) -> None:
    fleet = new_fleet("first", "second")
    assert fleet.play(DEPLOY, "-e", "kraken_verify_enabled=false").code == 0
    again = fleet.play(DEPLOY, ANSIBLE_DISPLAY_SKIPPED_HOSTS="true")
    assert again.code == 0, again.text
    assert [line for line in again.text.splitlines() if "[second]" in line] == ["ok: [second]"]
    assert "skipping: [" not in again.text

    # What follows can be asked for by itself, from any task on.
    proof = fleet.play(DEPLOY, "--start-at-task", "Run jobs on the agents of the play")
    assert (proof.code, "first: proven" in proof.text, "wanted state" in proof.text) == (0, True, False), proof.text
    on_host = fleet.play(
        DEPLOY, "--start-at-task", "Bring the host's agents to their wanted state", "--limit", "second"
    )
    assert (on_host.code, on_host.changed) == (0, {"second": 0}), on_host.text
    assert fleet.play(DEPLOY, "--tags", "registration").changed == {"first": 0}


def test_hosts_in_a_play_of_their_own_fail_alone_even_when_all_of_them_fail(new_fleet: NewFleet) -> None:
    fleet = new_fleet("plain", "boxed")
    fleet.host("boxed")["kraken_agent_install_method"] = "docker"
    done = fleet.play(DEPLOY)
    assert done.code != 0
    assert done.failed == {"plain": False, "boxed": True}, done.text
    assert "kraken_agent_dir is not for kraken_agent_install_method docker" in done.message
    assert "plain: proven" in done.text
    alone = fleet.play(DEPLOY, "--limit", "boxed")
    assert (alone.code != 0, alone.failed) == (True, {"boxed": True})
    assert fleet.play(DEPLOY, "--limit", "plain").changed == {"plain": 0}


def test_a_template_that_comes_to_binaries_is_deployed_like_any_other_host(new_fleet: NewFleet) -> None:
    fleet = new_fleet("plain")
    fleet.host("plain")["kraken_agent_install_method"] = "{{ 'bin' ~ 'aries' }}"
    assert fleet.play(DEPLOY, "-e", "kraken_verify_enabled=false").failed == {"plain": False}
    assert [agent.authorized for agent in fleet.agents().values()] == [True]


def test_all_plays_and_tasks_are_listed_without_an_inventory_being_asked(new_fleet: NewFleet) -> None:
    listed = new_fleet("plain").play(DEPLOY, "--list-tasks")
    assert listed.code == 0, listed.text
    for task in ("Check the variables", "wanted state", "Another way", "Register the agents", "Run jobs on"):
        assert task in listed.text
