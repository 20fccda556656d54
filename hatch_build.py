"""Puts the Ansible collection into the wheel, so that one `pip install` gives roles, playbooks and modules too.

Not into an editable install: that finds the collection through the symlink in `collections/`, and a copy would hide it.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_COLLECTION = "ansible_collections/kraken_ci/fleet"
_PARTS = ("LICENSE", "LICENSES", "galaxy.yml", "meta", "playbooks", "plugins", "roles")


class CollectionHook(BuildHookInterface[Any]):
    """Adds to what hatchling packs by itself."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before each build; `version` is `standard` or `editable`."""
        if version == "standard":
            build_data["force_include"].update({part: f"{_COLLECTION}/{part}" for part in _PARTS})
