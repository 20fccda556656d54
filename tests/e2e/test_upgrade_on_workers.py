"""24 hosts upgraded in slices of six on two workers over TLS, while workers and coordinators are killed and stopped.

The tests share the machines and the hosts, and follow one another.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kraken_fleet.model import is_own_group
from tests.background import repeating
from tests.contract.embedded import Embedded
from tests.e2e.fleet_on_workers import HOSTS, assert_whole, group_of, lose_two, nothing_leaks, two_workers
from tests.e2e.slice_workers import Deploying, Workers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Of the twelve agents of a group. A batch is half of the hosts.
MOST_OUT = 6


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory, embedded: Embedded) -> Iterator[Workers]:
    with two_workers(tmp_path_factory.mktemp("fleet"), embedded) as made:
        made.fleet.variables.update({"kraken_upgrade_serial": "50%", "kraken_upgrade_max_unavailable": MOST_OUT})
        done = made.deploy()
        assert done.end()["code"] == 0, done.text
        yield made


def begin(workers: Workers, version: str) -> Deploying:
    workers.fleet.variables["kraken_agent_bundle_version"] = version
    return workers.deploy(command="upgrade")


@contextmanager
def within_budget(workers: Workers) -> Iterator[None]:
    """See again and again that no group lacks too many agents, and that no machine's files have a secret."""
    most = dict.fromkeys(("even", "odd"), 0)

    def look() -> None:
        agents = workers.fleet.agents()
        for group in most:
            of_group = [host for number, host in enumerate(HOSTS) if group_of(number) == group]
            mine = [agents[workers.fleet.host(host)["kraken_agent_address"]] for host in of_group]
            out = [agent for agent in mine if agent.disabled or group not in agent.group_names]
            most[group] = max(most[group], len(out))

    with nothing_leaks(workers), repeating(look, pause=0.05):
        yield
    assert all(0 < number <= MOST_OUT for number in most.values()), most


def batches(upgrading: Deploying) -> list[list[str]]:
    return [one["hosts"] for one in upgrading.told if one["event"] == "BatchStarted"]


def until_a_batch_is_worked_on(upgrading: Deploying, worker: str = "") -> dict[str, Any]:
    upgrading.until(lambda one: one["event"] == "BatchStarted")
    return upgrading.host_of_slice_on(worker)


def assert_upgraded(workers: Workers, version: str) -> None:
    fleet = workers.fleet
    releases = {host: (fleet.home(host) / "current").readlink().name for host in HOSTS}
    assert [host for host, name in releases.items() if not name.startswith(f"{version}-")] == []
    with fleet.client() as client:
        assert [group.name for group in client.groups() if is_own_group(group.name)] == []
    assert_whole(workers)


def plan(workers: Workers) -> dict[str, Any]:
    """What `kraken-fleet plan` says of the fleet."""
    _command, settings = workers.fleet.prepared("deploy-agents.yml")
    command = [sys.executable, "-m", "kraken_fleet.cli.main", "plan", "--json"]
    done = subprocess.run(
        [*command, "-i", str(workers.fleet.directory / "inventory")],
        env=settings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer["data"]  # type: ignore[no-any-return]


def test_an_upgrade_whose_worker_is_killed_ends_on_the_other_one(workers: Workers) -> None:
    with within_budget(workers):
        upgrading = begin(workers, "2.0")
        lost = until_a_batch_is_worked_on(upgrading, "south")
        workers.kill("south", group=False)
        ended = upgrading.end()
    assert (ended["code"], ended["failed"]) == (0, {}), upgrading.text
    assert upgrading.worker(lost["slice"]) == "north"
    assert sorted(host for batch in batches(upgrading) for host in batch) == HOSTS
    assert [len(batch) for batch in batches(upgrading)] == [12, 12]
    assert_upgraded(workers, "2.0")


def test_a_killed_group_and_a_worker_stopped_past_its_time_cost_no_agent(workers: Workers) -> None:
    workers.start("east")
    with within_budget(workers):
        upgrading = begin(workers, "3.0")
        until_a_batch_is_worked_on(upgrading, "east")
        lose_two(workers, upgrading)
        ended = upgrading.end()
    assert (ended["code"], ended["failed"]) == (0, {}), upgrading.text
    assert_upgraded(workers, "3.0")


def test_what_a_killed_coordinator_has_disabled_is_in_the_plan_and_upgraded_first(workers: Workers) -> None:
    with within_budget(workers):
        first = begin(workers, "4.0")
        until_a_batch_is_worked_on(first)
        first.until(lambda one: one["event"] == "HostDone")
        os.killpg(first.process.pid, signal.SIGKILL)
        first.process.wait()
        (left,) = batches(first)
        findings = [one for one in plan(workers)["findings"] if one["kind"] == "upgrade_broken_off"]
        assert sorted(one["subject"] for one in findings) == sorted(left)
        # What was upgraded already is not the same any more, so that every host has something to do.
        second = begin(workers, "5.0")
        ended = second.end()
    assert (ended["code"], ended["failed"]) == (0, {}), second.text
    assert sorted(batches(second)[0]) == sorted(left)
    assert_upgraded(workers, "5.0")

    pids = [workers.fleet.pid(host) for host in HOSTS]
    again = begin(workers, "5.0")
    assert again.end()["code"] == 0, again.text
    assert (again.states, batches(again)) == ({"ok"}, [])
    assert [workers.fleet.pid(host) for host in HOSTS] == pids
    assert_upgraded(workers, "5.0")
