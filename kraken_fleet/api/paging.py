"""Kraken's lists come in pages, ten items long unless one asks for more: reading them whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from kraken_fleet.api import shape
from kraken_fleet.api.session import Session

# The server has no maximum of its own; this one keeps an answer below about half a megabyte.
PAGE_SIZE = 500
_ATTEMPTS = 3


class _WithId(Protocol):
    @property
    def id(self) -> int: ...


T = TypeVar("T")
Identified = TypeVar("Identified", bound=_WithId)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list. `total` is the length of the whole list, `start` the place of the first item in it."""

    items: tuple[T, ...]
    total: int
    start: int = 0


def read_page(
    session: Session,
    path: str,
    item: Callable[[object], T],
    *,
    start: int,
    limit: int,
    params: Mapping[str, str | int] | None = None,
) -> Page[T]:
    """Return one page of the list at `path`.

    Raises:
        ValueError: a negative `start` or `limit`, which makes the server fail.
        ServerError: see kraken_fleet.errors.
    """
    if start < 0 or limit < 0:
        raise ValueError("Start and limit must not be negative")
    answer = session.request("GET", path, params={**(params or {}), "start": start, "limit": limit})
    items, total = answer.decoded(shape.page_of(item))
    return Page(items, total, start)


def read_all(
    session: Session,
    path: str,
    item: Callable[[object], Identified],
    *,
    params: Mapping[str, str | int] | None = None,
) -> tuple[Identified, ...]:
    """Return the whole list at `path`, each item once.

    The list may change between two pages, which shifts what comes later; it is then read again, three times at most.
    """
    found: dict[int, Identified] = {}
    for _ in range(_ATTEMPTS):
        pages = read_pages(session, path, item, params=params)
        found = {one.id: one for page in pages for one in page.items}
        if len({page.total for page in pages}) == 1 and len(found) == pages[0].total:
            break
    return tuple(found.values())


def read_pages(
    session: Session,
    path: str,
    item: Callable[[object], T],
    *,
    params: Mapping[str, str | int] | None = None,
) -> list[Page[T]]:
    """Return all pages of the list at `path`, however few items the server puts on one."""
    pages = [read_page(session, path, item, start=0, limit=PAGE_SIZE, params=params)]
    while pages[-1].items and (start := pages[-1].start + len(pages[-1].items)) < pages[-1].total:
        pages.append(read_page(session, path, item, start=start, limit=PAGE_SIZE, params=params))
    return pages
