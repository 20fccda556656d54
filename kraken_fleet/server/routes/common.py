"""What the routes share: answers, pages, and rows that have to be there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import Query
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse

from kraken_fleet.server.core import Core
from kraken_fleet.server.intake import LARGEST
from kraken_fleet.server.rest.problems import Problem
from kraken_fleet.server.store.tables import Base

Row = TypeVar("Row", bound=Base)
Start = Annotated[int, Query()]
Limit = Annotated[int, Query()]


def answer(data: Any, status: int = 200) -> JSONResponse:
    """Return a JSON answer."""
    return JSONResponse(data, status)


def created(session: Session, row: Row, render: Callable[[Row], dict[str, Any]]) -> JSONResponse:
    """Add a row, and answer with it."""
    session.add(row)
    session.flush()
    return answer(render(row), 201)


def page(
    core: Core, session: Session, query: Select[Any], start: int, limit: int, render: Callable[[Any], dict[str, Any]]
) -> JSONResponse:
    """Return one page of a list, with the number of all items; no more items than the server's limit for one answer.

    A negative start or limit is a 500, as on the real server.
    """
    if start < 0 or limit < 0:
        raise Problem(500)
    # SQLite takes no integer beyond 64 bits.
    start, limit = min(start, LARGEST), min(limit, core.settings.limits.page_items)
    total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery()))
    rows = session.scalars(query.offset(start).limit(limit))
    return answer({"items": [render(row) for row in rows], "total": total})


def newest(core: Core, session: Session, query: Select[Any], key: Any) -> list[Any]:
    """Return the items of a list that the real server gives whole, oldest first: as many of the newest as may be."""
    most = core.settings.limits.page_items
    return list(session.scalars(query.order_by(key.desc()).limit(most)))[::-1]


def need(session: Session, table: type[Row], row_id: int, detail: str, status: int = 404) -> Row:
    """Return the row with that id, or an answer saying that there is none."""
    row = session.get(table, row_id) if row_id <= LARGEST else None
    if row is None:
        raise Problem(status, detail)
    return row
