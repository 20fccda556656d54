"""Many small requests at once, with a bound, each with its own outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from kraken_fleet.api import MAX_CONNECTIONS
from kraken_fleet.errors import FleetError, NotPermittedError, NotSignedInError, ServerUnreachableError
from kraken_fleet.reconcile.events import Changed, Event, Failed

# What ends everything: the next request would fail just the same, ten thousand times.
FATAL = (ServerUnreachableError, NotSignedInError, NotPermittedError)
T = TypeVar("T")
Answer = TypeVar("Answer")


def each(items: Sequence[T], work: Callable[[T], object], workers: int) -> Iterator[tuple[T, FleetError | None]]:
    """Do `work` on each item; yield it with its error, or None, as soon as it is done.

    Args:
        workers: how many at the same time.

    Raises:
        ServerError: one of FATAL; items not yet begun are left out.
    """
    if workers == 1:
        yield from ((item, _outcome(work, item)) for item in items)
        return
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        futures = {pool.submit(_outcome, work, item): item for item in items}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def told(
    outcomes: Iterable[tuple[T, FleetError | None]],
    failures: dict[str, str],
    name: Callable[[T], str],
    state: Callable[[T], str],
) -> Iterator[Event]:
    """Say of each item what became of it.

    Args:
        outcomes: as `each` yields them.
        failures: gets the reasons of those that failed, by their names.
        name: of an item.
        state: what an item that succeeded is now.
    """
    for item, error in outcomes:
        if error:
            failures[name(item)] = str(error)
            yield Failed(subject=name(item), reason=str(error))
        else:
            yield Changed(subject=name(item), state=state(item))


def answers(
    call: Callable[[T], tuple[Answer, ...]], items: Sequence[T], refusals: tuple[type[FleetError], ...]
) -> list[tuple[Answer, ...]]:
    """Ask about each item, as many at a time as there are connections; return the answers in the order of the items.

    Args:
        refusals: errors that stand for an empty answer; others are raised.
    """

    def answer(item: T) -> tuple[Answer, ...]:
        try:
            return call(item)
        except refusals:
            return ()

    with ThreadPoolExecutor(max_workers=MAX_CONNECTIONS) as pool:
        return list(pool.map(answer, items))


def _outcome(work: Callable[[T], object], item: T) -> FleetError | None:
    try:
        work(item)
    except FATAL:
        raise
    except FleetError as error:
        return error
    return None
