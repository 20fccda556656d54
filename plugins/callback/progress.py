# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows a fleet's deploy as one bar for each phase instead of a line for each host and task."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: stdout
short_description: One bar for each phase, the slow hosts named, a table at the end
version_added: 0.1.0
description:
  - For fleets, where a line for each host and task hides what matters. A phase is a role, or a play without roles.
  - What is skipped is not shown and not counted.
  - On a terminal there are bars; elsewhere each finished task is one line. Failures are always printed in full.
  - Ansible's own output is untouched unless this plugin is chosen.
options:
  slow_seconds:
    description: A host that has worked on one task for longer than this is named.
    type: int
    default: 5
    env:
      - name: KRAKEN_FLEET_PROGRESS_SLOW_SECONDS
    ini:
      - section: callback_kraken_fleet_progress
        key: slow_seconds
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
# ansible.cfg
# [defaults]
# stdout_callback = kraken_ci.fleet.progress
"""

import time
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.results import failure_message
from rich.console import Console
from rich.progress import Progress, Task, TaskID
from rich.table import Table
from rich.text import Text

from kraken_fleet.host_bars import host_bars
from kraken_fleet.model import shown

_HOSTS_NAMED = 3


class CallbackModule(CallbackBase):
    """Keeps count of the hosts of the current task; Rich redraws the bars."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "kraken_ci.fleet.progress"

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(soft_wrap=True)
        self._progress: Progress | None = None
        self._phase = ""
        self._bar: TaskID | None = None
        self._task_name = ""
        self._working: dict[str, float] = {}
        self._done: set[str] = set()
        self._skipped: set[str] = set()
        # How many hosts were done, and of how many, in the last task of the phase that was done anywhere.
        self._last: tuple[int, int] | None = None
        self._failed: dict[str, str] = {}
        self._hosts = 0
        self._started = time.monotonic()
        self._spent: dict[str, float] = {}

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._play = play
        self._phase = ""
        hosts = play._variable_manager._inventory.get_hosts(play.hosts) if play._variable_manager else []
        self._hosts = len(hosts)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._begin_task(task)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._begin_task(task)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._working[host.get_name()] = time.monotonic()
        self._redraw()

    def v2_runner_on_ok(self, result: Any) -> None:
        self._finish(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        # Nothing was done there: it is no host of this task.
        self._working.pop(result._host.get_name(), None)
        self._skipped.add(result._host.get_name())
        self._redraw()

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._finish(result)
        if not ignore_errors:
            self._fail(result, "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._finish(result)
        self._fail(result, "unreachable")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._end_task()
        self._stop_bars()
        if not stats.processed:
            self._console.print("No hosts matched: check --limit and the inventory", style="yellow", markup=False)
        self._console.print(self._summary(stats))

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Say nothing yet: a play for special hosts has none in most fleets."""

    def _finish(self, result: Any) -> None:
        host = result._host.get_name()
        began = self._working.pop(host, None)
        if began is not None:
            self._spent[host] = self._spent.get(host, 0.0) + time.monotonic() - began
        self._done.add(host)
        self._redraw()

    def _fail(self, result: Any, how: str) -> None:
        host = result._host.get_name()
        reason = failure_message(result._result)
        self._failed[host] = reason
        line = f"{shown(host)}: {how} in {self._task_name}: {reason}"
        self._console.print(line, style="bold red", markup=False)

    def _begin_task(self, task: Any) -> None:
        self._end_task()
        phase = task._role.get_name() if task._role else self._play.get_name()
        self._task_name = task.get_name().removeprefix(f"{phase} : ")
        self._done, self._skipped, self._working = set(), set(), {}
        if phase != self._phase:
            self._begin_phase(phase)
        self._redraw()

    def _begin_phase(self, phase: str) -> None:
        self._end_phase()
        self._phase, self._last = phase, None
        if not self._console.is_terminal:
            return
        if self._progress is None:
            self._progress = host_bars(self._note, self._console)
            self._progress.start()
        self._bar = self._progress.add_task(phase, total=max(self._hosts, 1))

    def _end_phase(self) -> None:
        """Take away the bar of a phase that no host needed."""
        if self._progress is not None and self._bar is not None and self._last is None:
            self._progress.remove_task(self._bar)

    def _redraw(self) -> None:
        if self._progress is not None and self._bar is not None:
            total = max(self._hosts - len(self._skipped), len(self._done) + len(self._working), 1)
            self._progress.update(self._bar, completed=len(self._done), total=total)

    def _note(self, task: Task) -> str:
        if task.id != self._bar:
            return ""  # a phase that is over
        waiting = max(self._hosts - len(self._done | self._skipped | self._failed.keys()), 0)
        parts = [self._task_name, f"{waiting} waiting"]
        if self._failed:
            parts.append(f"{len(self._failed)} failed")
        slow = self._slow()
        if slow:
            parts.append("slow: " + ", ".join(slow))
        return " · ".join(parts)

    def _slow(self) -> list[str]:
        now, bound = time.monotonic(), float(self.get_option("slow_seconds"))
        working = list(self._working.items())  # another thread draws
        late = sorted((began, host) for host, began in working if now - began > bound)
        return [f"{host} {now - began:.0f} s" for began, host in late[:_HOSTS_NAMED]]

    def _end_task(self) -> None:
        if self._done:
            if not self._console.is_terminal:
                self._print_task()
            self._last = len(self._done), self._hosts - len(self._skipped)
        elif self._progress is not None and self._bar is not None and self._last:
            completed, total = self._last
            self._progress.update(self._bar, completed=completed, total=max(total, completed))
        self._task_name = ""

    def _print_task(self) -> None:
        if self._last is None:
            self._console.print(f"== {self._phase}", markup=False, highlight=False)
        failed = sum(host in self._failed for host in self._done)
        line = f"   {self._task_name}: {len(self._done)} hosts" + (f", {failed} failed" if failed else "")
        self._console.print(line, markup=False, highlight=False)

    def _stop_bars(self) -> None:
        self._end_phase()
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _summary(self, stats: Any) -> Table:
        table = Table(title=f"{len(stats.processed)} hosts in {time.monotonic() - self._started:.1f} s")
        for column in ("host", "ok", "changed", "failed", "unreachable", "seconds", "reason"):
            table.add_column(column, justify="left" if column in ("host", "reason") else "right", overflow="fold")
        for host in sorted(stats.processed, key=lambda name: (name not in self._failed, name)):
            numbers = stats.summarize(host)
            table.add_row(
                Text(shown(host)),
                *(str(numbers[key]) for key in ("ok", "changed", "failures", "unreachable")),
                f"{self._spent.get(host, 0.0):.1f}",
                Text(self._failed.get(host, "")[:200]),  # a host's words, not markup
                style="red" if host in self._failed else ("yellow" if numbers["changed"] else ""),
            )
        return table
