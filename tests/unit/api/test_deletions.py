"""How fast agents are deleted: by what the server says of its queue, and at a pace of our own when it says nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from kraken_fleet.api import DELETE_BURST, DELETE_INTERVAL, KrakenClient
from kraken_fleet.api.deletions import DeletionPace
from kraken_fleet.api.pacing import Pacer
from kraken_fleet.errors import RequestRejectedError
from tests.unit.api.fake_kraken import FakeKraken
from tests.unit.api.recorded import Reply, Request, problem


@dataclass
class Time:
    """Passes only by sleeping."""

    now: float = 100.0
    pauses: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def clock() -> Time:
    return Time()


def _pace(client: KrakenClient, clock: Time) -> DeletionPace:
    return DeletionPace(client._session, now=lambda: clock.now, sleep=clock.sleep)


def _queue(current: str = "", *finished: str) -> Reply:
    """Diagnostics as recorded, cut to what is looked at."""

    def jobs(*calls: str) -> list[dict[str, str]]:
        return [{"id": "1", "description": f"kraken.server.bg.jobs.{call}"} for call in calls if call]

    queue = {"current_jobs": jobs(current), "finished_jobs": jobs(*finished), "failed_jobs": []}
    return Reply(body={"rq": {"name": "RQ", "open": True, **queue}})


def test_the_next_deletion_waits_until_the_last_one_is_over_and_none_is_at_work(
    fake: FakeKraken, client: KrakenClient, clock: Time
) -> None:
    fake.script(
        "GET",
        "/diagnostics",
        _queue("analyze_run(3)"),  # other work comes first
        _queue("destroy_machine(17)", "analyze_run(3)"),
        _queue("destroy_machine(99)", "destroy_machine(17)"),  # somebody else's
        _queue("job_completed(5)", "destroy_machine(17)", "destroy_machine(99)"),
    )
    pace = _pace(client, clock)
    pace.wait(17)
    assert fake.count("GET", "/diagnostics") == 0
    pace.wait(18)
    assert clock.pauses == [0.5] * 3
    assert fake.count("GET", "/diagnostics") == 4


def test_a_queue_that_stands_still_does_not_hold_deletions_up_for_ever(
    fake: FakeKraken, client: KrakenClient, clock: Time
) -> None:
    fake.on("GET", "/diagnostics", lambda _request: _queue("reindex(1)"))
    pace = _pace(client, clock)
    pace.wait(17)
    pace.wait(18)
    assert sum(clock.pauses) == pytest.approx(300)


def test_a_deletion_that_the_server_refuses_does_not_hold_up_the_next_one(
    fake: FakeKraken, client: KrakenClient
) -> None:
    fake.on("GET", "/diagnostics", lambda _request: _queue())
    fake.on("DELETE", "/agents/17", lambda _request: problem(404, "no such agent"))
    fake.on("DELETE", "/agents/18", lambda _request: Reply(204))
    with pytest.raises(RequestRejectedError):
        client.delete_agent(17)
    client.delete_agent(18)
    assert fake.count("GET", "/diagnostics") == 0


@pytest.mark.parametrize(
    "answer",
    [problem(404, "no such page"), problem(403, "no"), Reply(500), Reply(body=[]), Reply(body={"rq": None})],
    ids=["unknown", "forbidden", "fault", "another shape", "without the queue"],
)
def test_a_server_that_does_not_tell_is_deleted_from_at_our_own_pace(
    fake: FakeKraken, client: KrakenClient, clock: Time, answer: Reply
) -> None:
    def tell(_request: Request) -> Reply:
        return answer

    fake.on("GET", "/diagnostics", tell)
    pace = _pace(client, clock)
    for number in range(DELETE_BURST + 3):
        pace.wait(number)
    assert clock.pauses == [DELETE_INTERVAL] * 3


def test_deletes_beyond_the_first_few_are_as_far_apart_as_a_server_at_rest_needs(clock: Time) -> None:
    pacer = Pacer(DELETE_BURST, DELETE_INTERVAL, now=lambda: clock.now, sleep=clock.sleep)
    for _ in range(DELETE_BURST + 3):
        pacer.wait()
    assert clock.pauses == [DELETE_INTERVAL] * 3
    clock.now += 100
    for _ in range(DELETE_BURST):
        pacer.wait()
    assert len(clock.pauses) == 3
