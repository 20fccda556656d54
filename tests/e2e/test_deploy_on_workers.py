"""24 hosts in slices of six on two workers over TLS, while workers and coordinators are killed and stopped.

The tests share the machines and the hosts, and follow one another.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.embedded import Embedded
from tests.e2e.fleet_on_workers import HOSTS, assert_whole, change, lose_two, nothing_leaks, two_workers
from tests.e2e.loopback_fleet import Fleet
from tests.e2e.slice_workers import Workers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory, embedded: Embedded) -> Iterator[Workers]:
    with two_workers(tmp_path_factory.mktemp("fleet"), embedded) as made:
        yield made


def test_a_worker_that_is_killed_loses_its_slice_to_another_one(workers: Workers) -> None:
    deploying = workers.deploy()
    with nothing_leaks(workers):
        lost = deploying.host_of_slice_on("south")
        workers.kill("south", group=False)
        ended = deploying.end()
    assert (ended["code"], ended["failed"]) == (0, {}), deploying.text
    assert deploying.worker(lost["slice"]) == "north"
    assert_whole(workers)


def test_a_killed_group_and_a_worker_stopped_past_its_time_leave_each_host_once(workers: Workers) -> None:
    workers.start("east")
    change(workers, 2)
    disabled: set[str] = set()
    deploying = workers.deploy()
    with nothing_leaks(workers, disabled):
        deploying.host_of_slice_on("east")
        stopped = lose_two(workers, deploying)
        ended = deploying.end()
    assert (ended["code"], ended["failed"]) == (0, {}), deploying.text
    assert deploying.worker(stopped) == "west"
    assert disabled == set()
    assert_whole(workers)


def test_a_coordinator_that_is_killed_and_started_again_ends_its_work(workers: Workers) -> None:
    change(workers, 3)
    disabled: set[str] = set()
    with nothing_leaks(workers, disabled):
        first = workers.deploy()
        first.until(lambda one: one["event"] == "HostDone")
        os.killpg(first.process.pid, signal.SIGKILL)
        first.process.wait()
        second = workers.deploy()
        ended = second.end()
    assert (ended["code"], ended["failed"]) == (0, {}), second.text
    assert disabled == set()
    assert_whole(workers)

    pids = [workers.fleet.pid(host) for host in HOSTS]
    again = workers.deploy()
    assert again.end()["code"] == 0, again.text
    assert again.states == {"ok"}
    assert [workers.fleet.pid(host) for host in HOSTS] == pids
    assert_whole(workers)


def test_one_without_a_certificate_of_the_authority_is_not_let_in(workers: Workers, tmp_path: Path) -> None:
    stranger = Workers(Fleet(tmp_path, workers.fleet.server, workers.fleet.inventory), address=workers.address)
    refused = stranger.deploy("--limit", HOSTS[0])
    text, _nothing = refused.process.communicate(timeout=120)
    assert refused.process.returncode == 1
    assert "The scheduler does not answer" in text
