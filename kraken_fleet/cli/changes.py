"""Changes to several things: told one by one to people, as one document to programs; confirmed where they are final."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from kraken_fleet.cli import output
from kraken_fleet.errors import PartialFailureError, UsageError
from kraken_fleet.reconcile import Changed, Draining, Event, Failed

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person before what cannot be undone.

    Raises:
        UsageError: there is nobody to ask.
        typer.Abort: the person does not want it.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("This cannot be undone, and there is nobody to ask", hint="Give --yes")
    # On standard error: standard output is for the answer.
    typer.confirm(question, abort=True, err=True)


def follow(events: Iterable[Event], *, as_json: bool) -> None:
    """Show changes as they come; for programs, what became of each thing in the end.

    Raises:
        PartialFailureError: some could not be changed; it says which were, too.
    """
    states: dict[str, str] = {}
    try:
        for event in events:
            _tell(event, states, as_json=as_json)
    except PartialFailureError as error:
        error.done = dict(sorted(states.items()))
        raise
    if as_json:
        output.answer([{"subject": subject, "state": state} for subject, state in sorted(states.items())])
    elif not states:
        output.line("Nothing to do.")


def _tell(event: Event, states: dict[str, str], *, as_json: bool) -> None:
    match event:
        case Changed(subject=subject, state=state):
            states[subject] = state
            _say(f"{subject}: {state}", quiet=as_json)
        case Failed(subject=subject, reason=reason):
            _say(f"{subject}: failed: {reason}", quiet=as_json)
        case Draining(busy=busy, seconds=seconds):
            _progress(f"{len(busy)} still run a job after {seconds:.0f} s: {', '.join(sorted(busy))}")
        case _:
            pass


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        output.line(text)


def _progress(text: str) -> None:
    output.console(stderr=True).print(text, style="dim")
