# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What actions share whose agents run in containers: the role's variables as options."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from ansible.plugins.action import ActionBase
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import role_settings
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.telling import tell, what_changed

from kraken_fleet.errors import FleetError


class ContainerAction(ActionBase):
    """An action with a module on the host. A FleetError becomes the task's failure, its text the message."""

    TRANSFERS_FILES = False
    METHOD: ClassVar[str]
    """The value of kraken_agent_install_method that the module stands for."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        known = task_vars or {}
        try:
            result = self.act(role_settings.completed(self.METHOD, self._task.args, known, self._templar), known)
        except FleetError as error:
            return {"failed": True, "msg": str(error)}
        host = known.get("inventory_hostname", "")
        tell(self._display, what_changed(host, result, predicted=self._task.check_mode))
        return result

    @abstractmethod
    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Do the work. What was changed is told afterwards.

        Args:
            arguments: the task's, and from the role's variables what the task does not give.
            task_vars: the variables of the host that the task runs for.

        Raises:
            FleetError: it cannot be done.
        """
