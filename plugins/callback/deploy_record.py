# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remembers each playbook run, so that the console can show the last deploys."""

from __future__ import annotations

DOCUMENTATION = r"""
name: deploy_record
type: notification
short_description: Remember what a playbook run did to each host
version_added: 0.1.0
description:
  - Writes one small JSON file for each run into the state directory of kraken-fleet. The console shows the last ones.
  - Contains host names, names and results of tasks, counts and the message of a failure.
  - Never contains variables or module arguments.
requirements:
  - enable in configuration
options:
  state_dir:
    description: Where to write. The default is the XDG state directory of the user.
    type: path
    env:
      - name: KRAKEN_FLEET_STATE_DIR
author: [kraken-fleet contributors (@kraken-ci)]
"""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.results import failure_message

from kraken_fleet.model import Deploy, HostResult, TaskResult
from kraken_fleet.state import save_deploy, state_dir


@dataclass
class _Task:
    """A task while the playbook runs: when it began and ended, and what came of it on each host."""

    name: str
    began: float
    ended: float = 0.0
    results: dict[str, str] = field(default_factory=dict)


class CallbackModule(CallbackBase):
    """Collects failures as they come and the recap at the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "kraken_ci.fleet.deploy_record"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._playbook = Path(playbook._file_name).name
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()
        self._check = False
        self._messages: dict[str, str] = {}
        self._changes: dict[str, list[str]] = defaultdict(list)
        self._credit: Counter[str] = Counter()
        self._tasks: list[_Task] = []
        self._of_task: dict[str, _Task] = {}

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._check = bool(play.check_mode)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._begin(task)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._begin(task)

    def _begin(self, task: Any) -> None:
        self._of_task[task._uuid] = _Task(task.get_name(), time.monotonic())
        self._tasks.append(self._of_task[task._uuid])

    def _note(self, result: Any, outcome: str) -> None:
        """Write down what came of a task on a host."""
        if task := self._of_task.get(result._task._uuid):
            task.results[result._host.get_name()] = outcome
            task.ended = time.monotonic()

    def v2_runner_on_ok(self, result: Any) -> None:
        host, found = result._host.get_name(), result._result
        self._note(result, "changed" if found.get("changed") else "ok")
        if not found.get("changed"):
            return
        if isinstance(common := found.get("host_changes"), Mapping):
            # Of one task for all hosts, which Ansible counts for the first of them.
            self._credit[host] -= 1
            for name, changes in common.items():
                self._credit[name] += 1
                self._changes[name] += changes
        else:
            self._changes[host] += found.get("changes") or ()

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._note(result, "ok" if ignore_errors else "failed")
        if not ignore_errors:
            self._messages[result._host.get_name()] = failure_message(result._result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._note(result, "unreachable")
        self._messages[result._host.get_name()] = failure_message(result._result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        hosts = {host: self._result(host, stats.summarize(host)) for host in stats.processed}
        deploy = Deploy(
            playbook=self._playbook,
            started=self._started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self._clock, 1),
            check=self._check,
            hosts=hosts,
            tasks=tuple(
                TaskResult(task.name, round(task.ended - task.began, 1), task.results)
                for task in self._tasks
                if task.results
            ),
        )
        try:
            save_deploy(deploy, state_dir())
        except OSError as error:
            # The run itself is what matters; it went on without being remembered.
            self._display.warning(f"This run could not be remembered: {error}")

    def _result(self, host: str, numbers: dict[str, int]) -> HostResult:
        return HostResult(
            ok=numbers["ok"],
            changed=numbers["changed"] + self._credit[host],
            changes=tuple(self._changes[host]),
            failed=numbers["failures"],
            unreachable=numbers["unreachable"],
            message=self._messages.get(host, ""),
        )
