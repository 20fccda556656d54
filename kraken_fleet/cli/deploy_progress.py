"""Showing what becomes of slices: a bar for each, the slow and the failed hosts named; JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field

from rich.progress import Task, TaskID
from rich.text import Text

from kraken_fleet.cli import output
from kraken_fleet.host_bars import host_bars
from kraken_fleet.model import shown
from kraken_fleet.scale import events

_SLOW_SECONDS = 30.0
_HOSTS_NAMED = 3


def follow(progress: Iterable[events.DeployEvent], *, as_json: bool) -> int:
    """Show events until they end; return the exit code."""
    view = None if as_json else _View()
    code = 1
    with view.bars if view else nullcontext():
        for event in progress:
            if view:
                view.show(event)
            else:
                sys.stdout.write(json.dumps(events.to_dict(event), ensure_ascii=True) + "\n")
                sys.stdout.flush()
            code = event.code if isinstance(event, events.Ended) else code
    return code


@dataclass
class _Slice:
    """How far a slice is."""

    total: int
    began: float = 0.0
    done: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    working: dict[str, float] = field(default_factory=dict)

    def note(self) -> str:
        """Say which hosts have failed, and which take long."""
        parts = [f"{len(self.failed)} failed"] if self.failed else []
        now = time.monotonic()
        # Another thread draws.
        late = sorted((since, host) for host, since in [*self.working.items()] if now - since > _SLOW_SECONDS)
        if late:
            parts.append("slow: " + ", ".join(f"{host} {now - since:.0f} s" for since, host in late[:_HOSTS_NAMED]))
        return " · ".join(parts)


class _View:
    """Keeps count of each slice, and prints what does not stay in a bar."""

    def __init__(self) -> None:
        self._slices: dict[int, _Slice] = {}
        self._rows: dict[int, TaskID] = {}
        self._console = output.console(stderr=True)
        self.bars = host_bars(self._note, self._console, disable=not self._console.is_terminal)

    def show(self, event: events.DeployEvent) -> None:
        match event:
            case events.Output(line):
                output.line(line)
            case events.BatchStarted(number, batches, hosts):
                self._say(f"Batch {number} of {batches}: {len(hosts)} hosts to upgrade")
            case events.Sliced(slices):
                self._divided(slices)
            case events.SliceStarted(number, worker):
                self._begin(number, worker)
            case events.HostStarted(number, host):
                self._slices[number].working[host] = time.monotonic()
            case events.HostDone():
                self._host_done(event)
            case events.SliceEnded():
                self._slice_ended(event)
            case events.Ended(_code, failed) if failed:
                self._say(f"{len(failed)} hosts have failed: {', '.join(sorted(failed))}")

    def _divided(self, slices: Mapping[int, int]) -> None:
        self._slices.update({number: _Slice(total) for number, total in slices.items()})
        # Those of an earlier batch are over.
        for row in self._rows.values():
            self.bars.remove_task(row)
        self._rows.clear()
        self._say(f"{sum(slices.values())} hosts in {len(slices)} slices")

    def _note(self, task: Task) -> str:
        known = self._slices.get(task.fields["slice"])
        return known.note() if known else ""

    def _begin(self, number: int, worker: str) -> None:
        one = self._slices[number]
        if one.began:
            self._say(f"slice {number}: again from its beginning, on {worker}")
        self._slices[number] = _Slice(one.total, time.monotonic())
        if number in self._rows:
            self.bars.remove_task(self._rows[number])
        self._rows[number] = self.bars.add_task(f"slice {number} on {worker}", total=one.total, slice=number)

    def _host_done(self, event: events.HostDone) -> None:
        one = self._slices[event.slice]
        one.working.pop(event.host, None)
        one.done.add(event.host)
        if event.state in ("failed", "unreachable"):
            one.failed.add(event.host)
            self._say(f"{event.host}: {event.state}: {event.message}")
        self._update(event.slice)

    def _slice_ended(self, event: events.SliceEnded) -> None:
        one = self._slices[event.slice]
        failed = {host for host, result in event.hosts.items() if "failed" in result}
        for host in sorted(failed - one.failed):
            self._say(f"{host}: failed: {event.hosts[host]['failed']}")
        one.failed, one.done, one.working = failed, set(event.hosts), {}
        changed = sum(bool(result.get("changed")) for result in event.hosts.values())
        took = f" in {time.monotonic() - one.began:.0f} s" if one.began else ""
        self._say(f"slice {event.slice}: {one.total} hosts{took}, {changed} changed, {len(failed)} failed")
        self._update(event.slice)

    def _update(self, number: int) -> None:
        if number in self._rows:
            self.bars.update(self._rows[number], completed=len(self._slices[number].done))

    def _say(self, text: str) -> None:
        self._console.print(Text(shown(text)))
