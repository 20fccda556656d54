"""Many requests at once, with a bound."""

from __future__ import annotations

import threading
import time

import pytest

from kraken_fleet.errors import NotSignedInError, ServerFaultError
from kraken_fleet.reconcile.parallel import each


def test_no_more_than_so_many_at_the_same_time_and_more_than_one() -> None:
    lock, running, most = threading.Lock(), [0], [0]

    def work(_item: int) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.02)
        with lock:
            running[0] -= 1

    assert {item for item, error in each(range(12), work, 3) if error is None} == set(range(12))
    assert most[0] == 3


def test_each_item_has_its_own_outcome() -> None:
    def work(item: int) -> None:
        if item % 2:
            raise ServerFaultError(f"no {item}")

    outcome = {item: str(error) if error else "" for item, error in each(range(4), work, 2)}
    assert outcome == {0: "", 1: "no 1", 2: "", 3: "no 3"}


@pytest.mark.parametrize("workers", [1, 4])
def test_what_would_fail_for_all_ends_everything(workers: int) -> None:
    tried = []

    def work(item: int) -> None:
        tried.append(item)
        time.sleep(0.01)
        raise NotSignedInError("who are you")

    with pytest.raises(NotSignedInError):
        list(each(range(100), work, workers))
    assert len(tried) < 20
