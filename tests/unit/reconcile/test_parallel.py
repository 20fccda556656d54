"""Many requests at once."""

from __future__ import annotations

import threading

import pytest

from kraken_fleet.errors import FleetError, RequestRejectedError, ServerFaultError
from kraken_fleet.reconcile.parallel import answers


def test_answers_come_in_the_order_of_the_items_and_are_asked_for_at_once() -> None:
    both = threading.Barrier(2, timeout=20)

    def call(item: int) -> tuple[int, ...]:
        both.wait()  # alone, nobody gets past this
        return (item, -item)

    assert answers(call, [1, 2], ()) == [(1, -1), (2, -2)]


def test_only_the_errors_that_stand_for_nothing_are_empty_answers() -> None:
    def call(error: FleetError) -> tuple[int, ...]:
        raise error

    gone, broken = RequestRejectedError("gone", status=404), ServerFaultError("broken")
    assert answers(call, [gone], (RequestRejectedError,)) == [()]
    with pytest.raises(ServerFaultError, match="broken"):
        answers(call, [gone, broken], (RequestRejectedError,))
