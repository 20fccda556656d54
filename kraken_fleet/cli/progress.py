"""Events of a reconciliation: a bar and lines for people, one JSON document a line for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kraken_fleet import reconcile
from kraken_fleet.cli import output, planning

if TYPE_CHECKING:
    from rich.progress import Progress


def follow(events: Iterable[reconcile.Event], *, as_json: bool) -> None:
    """Show events as they come. The caller reports an error that ends them."""
    if as_json:
        for event in events:
            json_line(event)
        return
    with _bar() as bar:
        task = bar.add_task("waiting", total=None, visible=False)
        for event in events:
            if isinstance(event, reconcile.Done):
                bar.update(task, description="changing", completed=event.number, total=event.total, visible=True)
            elif isinstance(event, reconcile.Waiting):
                bar.update(task, description=f"waiting for {len(event.missing)} agents", visible=True)
            elif isinstance(event, reconcile.Planned):
                planning.show(event.plan)
            for text in said(event):
                output.line(text)


def json_line(event: reconcile.Event) -> None:
    """Print an event for programs."""
    sys.stdout.write(json.dumps(event.to_dict(), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def said(event: reconcile.Event) -> Iterator[str]:
    """Return the text that an event is shown with; most changes only move the progress bar."""
    match event:
        case reconcile.Missing(host=host, reason=reason, hint=hint):
            yield f"{host}: did not appear: {reason}. {hint}."
        case reconcile.Failed(subject=subject, reason=reason):
            yield f"{subject}: failed: {reason}"
        case reconcile.TrialPassed(subject=subject, policy=policy, reason=reason):
            yield f"{subject}: stays ({policy}: {reason})"
        case reconcile.TrialFailed(subject=subject, policy=policy, reason=reason):
            yield f"{subject}: unauthorized again ({policy}: {reason})"
        case reconcile.Changed(subject=subject, state=state):
            yield f"{subject}: {state}"
        case reconcile.Draining(busy=busy, seconds=seconds):
            yield f"{len(busy)} still run a job after {seconds:.0f} s: {', '.join(sorted(busy))}"
        case reconcile.Finished(done=done, failed=failed, seconds=seconds):
            yield f"{done} done, {failed} failed, {seconds:.1f} s"
        case reconcile.RoundFailed(error=error):
            yield f"this round failed: {error['message']}"
        case reconcile.Sleeping(seconds=seconds):
            yield f"next round in {seconds:.0f} s"


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=output.console(stderr=True), transient=True) as bar:
        yield bar
