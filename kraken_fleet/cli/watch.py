"""`kraken-fleet watch`: tell people what is wrong with a fleet, and when it is over."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from kraken_fleet import reconcile, watch
from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import output, planning, progress
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.connection import connected
from kraken_fleet.cli.notify_urls import find_urls
from kraken_fleet.errors import UsageError
from kraken_fleet.inventory import Inventory
from kraken_fleet.model import parse_span
from kraken_fleet.plan import PlanPolicy
from kraken_fleet.state import state_dir
from kraken_fleet.watch import Topic

app = single_command()

_TOPICS = ", ".join(Topic)


Notify = Annotated[
    list[str] | None,
    typer.Option(
        "--notify",
        help="A receiver, as a URL of apprise. Others on this machine can read it: write URLs with passwords into a "
        "file. May be given more than once. [KRAKEN_FLEET_NOTIFY]",
        metavar="URL",
    ),
]
NotifyFile = Annotated[
    list[Path] | None,
    typer.Option("--notify-file", help="A file with such URLs, one a line. [KRAKEN_FLEET_NOTIFY_FILE]", metavar="FILE"),
]
Only = Annotated[
    list[Topic] | None, typer.Option("--only", help="Tell of this topic only. May be given more than once.")
]
Lasting = Annotated[
    list[str] | None,
    typer.Option(
        "--lasting",
        help="How long a problem lasts before people are told: 10min, or for one topic jobs=10min. Default: 2min for "
        "server and jobs, 15min for drift and finding, 0 for others.",
        metavar="[TOPIC=]TIME",
    ),
]
DeadTime = Annotated[
    list[str] | None,
    typer.Option(
        "--dead-time",
        help="How long people are not told again after a message about the same problem. Default: 1h.",
        metavar="[TOPIC=]TIME",
    ),
]
Once = Annotated[bool, typer.Option("--once", help="Do one round, for timers.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be sent. Change, send and remember nothing.")]
GiveBack = Annotated[
    bool, typer.Option(help="Enable agents of the inventory that are disabled until a time which is over.")
]


@app.command()
@connected
@planning.with_policy
def watch_fleet(
    client: KrakenClient,
    policy: PlanPolicy,
    inventory: Inventory,
    notify: Notify = None,
    notify_file: NotifyFile = None,
    only: Only = None,
    lasting: Lasting = None,
    dead_time: DeadTime = None,
    interval: Annotated[float, typer.Option(help="Seconds between two rounds.", min=1)] = 60.0,
    once: Once = False,
    dry_run: DryRun = False,
    give_back: GiveBack = True,
    as_json: output.AsEvents = False,
) -> None:
    """Tell people of silent agents, full disks, stranded jobs, failed deploys, drift and other findings.

    Each problem is told of once, and once more when it is over. What was told is kept in the state directory.

    Exit codes of --once: 0 done; 1 the server or the inventory could not be read; 3 a message could not be sent.
    """
    receivers = watch.receivers_of(find_urls(notify or (), notify_file or (), os.environ))
    if not receivers and not dry_run:
        raise UsageError("No receiver is named", hint="Give --notify URL or --notify-file FILE")
    state = state_dir()
    file = watch.MemoryFile(state, client.url, _named(inventory))
    made = watch.Watch(
        client,
        lambda: inventory.anew().fleet(),
        state,
        file,
        receivers,
        policy=policy,
        times=watch.Times({**watch.LASTING, **_by_topic(lasting or ())}, _by_topic(dead_time or ())),
        topics=only or tuple(Topic),
        give_back=give_back,
        dry_run=dry_run,
    )
    with file.alone():
        _follow(made.once() if once else made.repeat(interval=interval), as_json=as_json)


def _named(inventory: Inventory) -> str:
    """Name an inventory so that it is the same one from whichever directory it is named."""
    # With a comma it is a list of hosts, as for Ansible, and no path.
    paths = (str(one) if "," in str(one) else str(Path(one).resolve()) for one in inventory.sources)
    return " ".join([*paths, *([f"--limit {inventory.limit}"] if inventory.limit else [])])


def _by_topic(texts: Iterable[str]) -> Mapping[Topic, timedelta]:
    """Read `2h` for all topics and `drift=2h` for one."""
    general, single = dict[Topic, timedelta](), dict[Topic, timedelta]()
    for text in texts:
        name, equals, length = text.rpartition("=")
        if not equals:
            general = dict.fromkeys(Topic, parse_span(length))
        elif name in {str(topic) for topic in Topic}:
            single[Topic(name)] = parse_span(length)
        else:
            raise UsageError(f"There is no topic {name!r}", where=text, hint=f"Topics are {_TOPICS}")
    return {**general, **single}


def _follow(events: Iterable[reconcile.Event], *, as_json: bool) -> None:
    for event in events:
        if as_json:
            progress.json_line(event)
            continue
        for text in _said(event):
            output.line(text)


def _said(event: reconcile.Event) -> Iterator[str]:
    match event:
        case watch.Looked(agents=agents, problems=problems):
            yield f"{agents} agents, {problems} problems"
        case watch.Appeared(topic=topic, subject=subject, message=message):
            yield f"! {topic}: {subject}: {message}"
        case watch.Over(topic=topic, subject=subject, message=message):
            yield f"  over: {topic}: {subject}: {message}"
        case watch.ToSend(title=title, body=body):
            yield f"This would be sent:\n{title}\n\n{body}"
        case watch.Sent(receiver=receiver, title=title):
            yield f"sent to {receiver}: {title}"
        case watch.NotSent(receiver=receiver, title=title, reason=reason):
            yield f"not sent to {receiver}: {title}: {reason}; the next round tries again"
        case _:
            yield from progress.said(event)
