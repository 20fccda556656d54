"""Many small requests at once, with a bound, each with its own outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from kraken_fleet.errors import FleetError, NotPermittedError, NotSignedInError, ServerUnreachableError

# What ends everything: the next request would fail just the same, ten thousand times.
FATAL = (ServerUnreachableError, NotSignedInError, NotPermittedError)
T = TypeVar("T")


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


def _outcome(work: Callable[[T], object], item: T) -> FleetError | None:
    try:
        work(item)
    except FATAL:
        raise
    except FleetError as error:
        return error
    return None
