"""The console's own things, one set for each application, and how a request finds them."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from kraken_fleet import audit
from kraken_fleet.listen import AttemptLimit
from kraken_fleet.reconcile import Ignored
from kraken_fleet.web.cache import FleetCache
from kraken_fleet.web.history import History
from kraken_fleet.web.people import People
from kraken_fleet.web.render import Renderer
from kraken_fleet.web.scrapers import Scrapers
from kraken_fleet.web.sessions import SessionStore
from kraken_fleet.web.settings import ConsoleSettings
from kraken_fleet.web.table import LastTable
from kraken_fleet.web.work import Work

_COOKIE = "kraken_fleet_session"


@dataclass(frozen=True, slots=True)
class Console:
    """The console's own things. `people` is None without an account of the console's own."""

    settings: ConsoleSettings
    sessions: SessionStore
    attempts: AttemptLimit
    cache: FleetCache
    tables: LastTable
    history: History
    ignored: Ignored
    log: audit.AuditLog
    applying: Work
    deleting: Work
    renderer: Renderer
    scrapers: Scrapers
    people: People | None


def console_of(request: Request) -> Console:
    console: Console = request.app.state.console
    return console


def cookie_of(settings: ConsoleSettings) -> str:
    """Return the name of the cookie: each server of a console has one of its own."""
    return f"{_COOKIE}_{settings.name}" if settings.name else _COOKIE


def root_of(request: Request, settings: ConsoleSettings) -> str:
    """Return the path below which the console is, with all its servers; empty at the top."""
    root = str(request.scope.get("root_path", ""))
    return root.removesuffix(f"/{settings.name}") if settings.name else root
