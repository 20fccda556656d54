# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What actions share whose agents run in containers: the role's variables as options."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.plugins.action import ActionBase
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import checked
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import role_settings
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.telling import tell, what_changed

from kraken_fleet.errors import FleetError


class ContainerAction(ActionBase):
    """An action with a module on the host. A FleetError becomes the task's failure, its text the message."""

    TRANSFERS_FILES = False
    METHOD: ClassVar[str]
    """The value of kraken_agent_install_method that the module stands for."""
    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]]
    """What the module of the same name documents; see the function arguments_of."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        known = task_vars or {}
        try:
            given = role_settings.completed(self.METHOD, self._task.args, known, self._templar)
            self._task.args = self.for_module(given)
            result = self.act(checked(self, _for_host(self.ARGUMENTS)), known)
        except FleetError as error:
            return {"failed": True, "msg": str(error)}
        host = known.get("inventory_hostname", "")
        tell(self._display, what_changed(host, result, predicted=self._task.check_mode))
        return result

    def for_module(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments without what the module does not take."""
        return arguments

    @abstractmethod
    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Do the work. What was changed is told afterwards.

        Args:
            arguments: the task's, checked, with defaults, and from the role's variables what the task does not give.
            task_vars: the variables of the host that the task runs for.

        Raises:
            FleetError: it cannot be done.
        """


def _for_host(specification: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Take paths for texts: what `~` means is known on the host."""
    return {
        name: {**option, "type": "str"} if option.get("type") == "path" else dict(option)
        for name, option in specification.items()
    }
