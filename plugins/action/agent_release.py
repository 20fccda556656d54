"""Gets the files of a release for Windows hosts ready, on the controller."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.windows_files import NSSM_SHA256, prepared

ARGUMENTS: dict[str, dict[str, Any]] = {
    "bundle": {"type": "path", "default": ""},
    "bundle_sha256": {"type": "dict", "default": {}},
    "bundle_url": {"type": "str", "default": ""},
    "bundle_version": {"type": "str", "default": ""},
    "source": {"type": "str", "choices": ["bundle", "server"], "default": "bundle"},
    "server": {"type": "str", "default": ""},
    "nssm": {"type": "str", "default": ""},
    "nssm_sha256": {"type": "str", "default": NSSM_SHA256},
}


class ActionModule(ControllerAction):
    """Writes to the controller's own cache only, in check mode too: nothing of a host is changed."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = ARGUMENTS

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        return {"changed": False, **prepared(arguments)}
