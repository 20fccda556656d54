"""What every page works with: the console's own things, the signed-in person, and the way to a rendered page."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

from fastapi import Depends, Form, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kraken_fleet import audit
from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, PartialFailureError, UsageError
from kraken_fleet.model import Agent, parse_moment
from kraken_fleet.reconcile import Changed, Event, Failed, disable, disabling, enable, remove
from kraken_fleet.web.cache import Snapshot
from kraken_fleet.web.console import console_of, root_of
from kraken_fleet.web.identity import session_of
from kraken_fleet.web.records import account_of, origin_of, record
from kraken_fleet.web.sessions import Session


class SignInNeededError(Exception):
    """Nobody is signed in; the page that was wanted comes after signing in."""


def shown_page(
    request: Request, template: str, session: Session | None, *, status: int = 200, notice: str = "", **values: object
) -> HTMLResponse:
    """Render a page with what every template needs."""
    console = console_of(request)
    shown = values.get("snapshot")
    content = console.renderer.render(
        template,
        request=request,
        session=session,
        notice=notice,
        read_only=console.settings.read_only or not (session and session.may_change),
        server_url=console.settings.server_url,
        fleet_now=console.cache.last,
        shown_version=shown.version if isinstance(shown, Snapshot) else console.cache.last.version,
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
        session = session_of(request, self.console)
        if session is None:
            raise SignInNeededError
        self.session: Session = session

    @property
    def client(self) -> KrakenClient:
        return self.session.client

    @property
    def own_client(self) -> KrakenClient:
        """The client for what the person's own role has to allow.

        Raises:
            HTTPException: 403: the person is no administrator, and has not signed in with an account of their own.
        """
        if self.session.may_change:
            return self.client
        if self.session.own is None:
            raise HTTPException(403, f"{self.session.user} is no administrator of this server: no job can be shown")
        return self.session.own

    def snapshot(self) -> Snapshot:
        return self.console.cache.get(self.client)

    def record(self, action: str, targets: Sequence[str] = ()) -> None:
        """Write into the audit log what this person did that is no change of the server."""
        who, account = self.session.user, account_of(self.session.client)
        record(self.console, self.request, who, action, targets, account=account)

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
    """One form that changes something on the server: never in read-only mode, and never of somebody who only looks."""

    def __init__(self, request: Request, csrf: Annotated[str, Form()] = "") -> None:
        super().__init__(request, csrf)
        if self.console.settings.read_only:
            raise HTTPException(403, "This console is read-only")
        if not self.session.may_change:
            raise HTTPException(403, f"{self.session.user} is no administrator of this server, and may only look")
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
        """Yield the same events. A person may sign out while they go on: the session that they need ends after them."""
        with self.session.at_work():
            yield from events


SignedIn = Annotated[Visit, Depends(Visit)]
Submitted = Annotated[SubmittedForm, Depends(SubmittedForm)]
Changing = Annotated[Change, Depends(Change)]
