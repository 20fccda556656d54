# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all actions share that run on the controller and talk to a Kraken server."""

from __future__ import annotations

import gc
import json
import os
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ansible import context
from ansible.plugins.action import ActionBase
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import checked
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.telling import tell

from kraken_fleet.errors import FleetError

# Imported where a client is made: each host of a task has a process of its own, and most tasks need no server.
if TYPE_CHECKING:
    from kraken_fleet.api import KrakenClient
    from kraken_fleet.audit import Origin
    from kraken_fleet.model import Owner


class ControllerAction(ActionBase):
    """An action without a half on the host. A FleetError becomes the task's failure, its text the message."""

    TRANSFERS_FILES = False
    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {}
    """What the module of the same name documents; see the function arguments_of."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        # Plain values: Ansible's own know where they come from, which no dataclass or YAML writer wants.
        arguments = json.loads(json.dumps(checked(self, self.ARGUMENTS)))
        # This process was forked off with all variables of all hosts. Without this the collector would look through
        # them again and again while new objects are made, and copy their pages.
        gc.freeze()
        try:
            return self.act(arguments, task_vars or {})
        except FleetError as error:
            return {"failed": True, "msg": str(error), "error": error.as_dict()}

    def tell(self, lines: Iterable[str]) -> None:
        """Tell people what was done, without -v."""
        tell(self._display, lines)

    @abstractmethod
    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Do the work.

        Args:
            arguments: the task's, checked, with defaults.
            task_vars: the variables of the host that the task runs for.

        Raises:
            FleetError: it cannot be done.
        """


def playbook_owner() -> Owner:
    """Return the process that runs the playbook: each task's own, whose child this is, ends long before it."""
    from kraken_fleet.reconcile.owner import owner_of

    return owner_of(os.getppid())


def client_of(arguments: dict[str, Any]) -> KrakenClient:
    """Return a client for the server that the arguments name, else the environment.

    Raises:
        UsageError: there is no server or no account.
    """
    from kraken_fleet.api import KrakenClient, find_credentials, find_server, of_environment
    from kraken_fleet.audit import audited
    from kraken_fleet.model import ServerAccount

    # A file that was encrypted with Ansible Vault ends its line, and the line end is not of the secret.
    url, user, password, token, bundle = (
        str(arguments[f"server_{name}"] or "").rstrip("\r\n")
        for name in ("url", "user", "password", "token", "ca_bundle")
    )
    levels = [ServerAccount("the task", url, user, password, token, bundle), of_environment()]
    server, ca_bundle = find_server(levels)
    client = KrakenClient(server, find_credentials(levels), ca_bundle=ca_bundle, timeout=arguments["server_timeout"])
    return audited(client, playbook_origin())


def playbook_origin() -> Origin:
    """Return what the audit log says of the playbooks that run: who, which, on which machine."""
    from kraken_fleet.audit import of_this_machine

    playbooks = " ".join(Path(name).name for name in context.CLIARGS.get("args") or ())
    return of_this_machine(f"ansible-playbook {playbooks}".strip())
