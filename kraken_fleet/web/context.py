"""What every page works with: the console's own things, the signed-in person, and the way to a rendered page."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Form, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kraken_fleet import audit
from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, PartialFailureError, UsageError
from kraken_fleet.listen import AttemptLimit
from kraken_fleet.listen import peer_of as peer_of_scope
from kraken_fleet.model import Agent, parse_moment
from kraken_fleet.model import Change as ChangeRecord
from kraken_fleet.reconcile import Changed, Event, Failed, Ignored, disable, disabling, enable, remove
from kraken_fleet.web.cache import FleetCache, Snapshot
from kraken_fleet.web.history import History
from kraken_fleet.web.render import Renderer
from kraken_fleet.web.scrapers import Scrapers
from kraken_fleet.web.sessions import Session, SessionStore
from kraken_fleet.web.settings import ConsoleSettings
from kraken_fleet.web.table import LastTable
from kraken_fleet.web.work import Work

_COOKIE = "kraken_fleet_session"


@dataclass(frozen=True, slots=True)
class Console:
    """The console's own things; one for each application."""

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


def cookie_of(settings: ConsoleSettings) -> str:
    """Return the name of the cookie: each server of a console has one of its own."""
    return f"{_COOKIE}_{settings.name}" if settings.name else _COOKIE


def root_of(request: Request, settings: ConsoleSettings) -> str:
    """Return the path below which the console is, with all its servers; empty at the top."""
    root = str(request.scope.get("root_path", ""))
    return root.removesuffix(f"/{settings.name}") if settings.name else root


class SignInNeededError(Exception):
    """Nobody is signed in; the page that was wanted comes after signing in."""


def console_of(request: Request) -> Console:
    console: Console = request.app.state.console
    return console


def peer_of(request: Request) -> str:
    """Say where a request comes from, for the audit log."""
    return peer_of_scope(request.scope) or "unknown"


def origin_of(request: Request, user: str) -> audit.Origin:
    """Return what the audit log says of a request."""
    return audit.Origin(user, "console", peer_of(request))


def record(request: Request, user: str, action: str, targets: Sequence[str] = (), result: str = "ok") -> None:
    """Write into the audit log what is no change of the server, such as signing in."""
    console = console_of(request)
    console.log.write(
        origin_of(request, user), ChangeRecord(action, tuple(targets), result=result), console.settings.server_url, user
    )


def shown_page(
    request: Request, template: str, session: Session | None, *, status: int = 200, notice: str = "", **values: object
) -> HTMLResponse:
    """Render a page with what every template needs."""
    console = console_of(request)
    content = console.renderer.render(
        template,
        request=request,
        session=session,
        notice=notice,
        read_only=console.settings.read_only,
        server_url=console.settings.server_url,
        fleet_now=console.cache.last,
        server_name=console.settings.name,
        top=root_of(request, console.settings),
        **values,
    )
    return HTMLResponse(content, status)


class Visit:
    """One request by a signed-in person."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.console = console_of(request)
        session = self.console.sessions.get(request.cookies.get(cookie_of(self.console.settings), ""))
        if session is None:
            raise SignInNeededError
        self.session: Session = session

    @property
    def client(self) -> KrakenClient:
        return self.session.client

    def snapshot(self) -> Snapshot:
        return self.console.cache.get(self.client)

    def page(self, template: str, status: int = 200, **values: object) -> HTMLResponse:
        """Render a page for this person."""
        notice = self.session.take_notice()
        return shown_page(self.request, template, self.session, status=status, notice=notice, **values)


class SubmittedForm(Visit):
    """One form that a signed-in person sent: with the CSRF word of the session."""

    def __init__(self, request: Request, csrf: Annotated[str, Form()] = "") -> None:
        super().__init__(request)
        if not self.session.accepts(csrf):
            raise HTTPException(403, "This form is not from this session. Go back, reload the page and try again")

    def back_to(self, path: str) -> Response:
        """Redirect to a page of this console, so that a reload repeats nothing."""
        return RedirectResponse(self.request.scope.get("root_path", "") + path, status_code=303)


class Change(SubmittedForm):
    """One form that changes something on the server: never in read-only mode."""

    def __init__(self, request: Request, csrf: Annotated[str, Form()] = "") -> None:
        super().__init__(request, csrf)
        if self.console.settings.read_only:
            raise HTTPException(403, "This console is read-only")
        known = {agent.id: agent.address for agent in self.console.cache.last.everybody}
        origin = origin_of(request, self.session.user)
        self._audited = audit.audited(self.session.client, origin, self.console.log, known)

    @property
    def client(self) -> KrakenClient:
        """The person's client; what it changes goes to the audit log."""
        return self._audited

    def do(self, action: str, target: str, change: Callable[..., object], *args: object) -> bool:
        """Make one change, and keep a message for the next page.

        Args:
            action, target: what is done to what, for people.
            change: the client's method, with its arguments.

        Returns:
            Whether it succeeded; the reason for a failure is in the message.
        """
        try:
            change(*args)
        except FleetError as error:
            self.session.notice = f"{action} {target}: {error}"
            return False
        finally:
            self.console.cache.forget()
        self.session.notice = f"{action} {target}: done"
        return True

    def named(self, agents: Sequence[Agent]) -> list[Agent]:
        """Return agents that are told of by their addresses."""
        return [dataclasses.replace(agent, name=agent.address) for agent in agents]

    def verb(self, action: str, agents: Sequence[Agent], note: str, until: str) -> Iterator[Event]:
        """Return what does a daily verb to agents.

        Args:
            note, until: why they are disabled, and until when; both may be empty.

        Raises:
            HTTPException: there is no such verb, or `until` cannot be read.
        """
        chosen = self.named(agents)
        if action == "enable":
            return enable(self.client, chosen)
        if action not in ("disable", "drain"):
            raise HTTPException(400, f"There is no action {action!r}")
        try:
            end = parse_moment(until, self.client.server_time()) if until.strip() else None
        except UsageError as error:
            raise HTTPException(400, str(error)) from error
        # Draining is disabling, too: a page does not wait for the jobs, which end by themselves.
        return disable(self.client, chosen, why=disabling(self.client, self.session.user, note, end))

    def follow(self, action: str, agents: Sequence[Agent], events: Iterator[Event]) -> None:
        """Make changes to several agents, and keep a message for the next page."""
        done, failures = 0, []
        try:
            for event in events:
                if isinstance(event, Changed):
                    done += 1
                elif isinstance(event, Failed):
                    failures.append(f"{action} {event.subject}: {event.reason}")
        except PartialFailureError:
            pass  # each of them has been told of
        except FleetError as error:
            failures.append(str(error))
        finally:
            self.console.cache.forget()
        if len(agents) == 1 and not failures:
            summary = f"{action} {agents[0].address}: done"
        else:
            summary = f"{action}: {done} of {len(agents)} done"
        self.session.notice = ". ".join([summary, *failures[:3]])

    def delete(self, agents: Sequence[Agent]) -> None:
        """Delete agents in the background: the server's queue sets the pace, which may be minutes for each."""
        named = ", ".join(agent.address for agent in agents)
        if self.console.deleting.start(self.session.user, len(agents), self.in_background(remove(self.client, agents))):
            self.session.notice = f"Deleting {named if len(agents) == 1 else f'{len(agents)} agents'}"
        else:
            self.session.notice = "Other agents are being deleted: try again when that is over"

    def in_background(self, events: Iterator[Event]) -> Iterator[Event]:
        """Yield the same events. A person may sign out while they go on: then end the session that they needed."""
        try:
            yield from events
        finally:
            if not self.console.sessions.holds(self.session):
                self.client.close()


SignedIn = Annotated[Visit, Depends(Visit)]
Submitted = Annotated[SubmittedForm, Depends(SubmittedForm)]
Changing = Annotated[Change, Depends(Change)]
