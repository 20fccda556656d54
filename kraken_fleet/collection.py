"""The Ansible collection kraken_ci.fleet: where it is, and the variables that its roles declare.

The command line, the plays and the documentation read the roles' argument_specs here, so that they know the same names.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

import kraken_fleet
from kraken_fleet.errors import CollectionError

# libyaml reads the specifications ten times as fast; a PyYAML that was built without it has no such loader.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_HOST_PACKAGE = "kraken_fleet_host_settings"

Specification = Mapping[str, Any]
"""One variable or option, as argument_specs.yml and a module's DOCUMENTATION describe it."""


def collection_root() -> Path:
    """Find the collection: the checkout that this library is in, or beside the library in site-packages.

    Raises:
        CollectionError: it is in neither place.
    """
    parent = Path(kraken_fleet.__file__).resolve().parent.parent
    for root in (parent, parent / "ansible_collections" / "kraken_ci" / "fleet"):
        if (root / "galaxy.yml").is_file() and (root / "playbooks").is_dir():
            return root
    hint = "Install kraken-fleet again: the collection is part of it"
    raise CollectionError("The Ansible collection kraken_ci.fleet is not there", where=str(parent), hint=hint)


def roles() -> tuple[str, ...]:
    """Name the roles that declare variables, in alphabetical order."""
    return tuple(path.parents[1].name for path in _specification_files())


@lru_cache(maxsize=1)
def role_variables() -> Mapping[str, Mapping[str, Specification]]:
    """Read the variables of each role, in the order in which they are declared."""
    return {path.parents[1].name: dict(_options(path)) for path in _specification_files()}


@lru_cache(maxsize=1)
def variables() -> Mapping[str, Specification]:
    """Read every variable of every role. A variable of several roles is specified alike in all of them."""
    return {name: option for declared in role_variables().values() for name, option in declared.items()}


def secret_variables() -> frozenset[str]:
    """Name the variables whose values nobody should handle without need."""
    return frozenset(name for name, option in variables().items() if option.get("no_log"))


@lru_cache(maxsize=1)
def settings_table() -> ModuleType:
    """Load the table of an agent's settings, which hosts run too: plugins/module_utils/host/settings.py."""
    directory = collection_root() / "plugins" / "module_utils" / "host"
    # A package of its own: the library imports no plugins, and the table imports what stands beside it.
    package = importlib.util.spec_from_file_location(
        _HOST_PACKAGE, directory / "__init__.py", submodule_search_locations=[str(directory)]
    )
    if package is None or not (directory / "settings.py").is_file():
        raise CollectionError(
            "The table of settings cannot be loaded", where=str(directory), hint="Install kraken-fleet again"
        )
    sys.modules[_HOST_PACKAGE] = importlib.util.module_from_spec(package)
    return importlib.import_module(f"{_HOST_PACKAGE}.settings")


def settings_place(**where: str) -> Any:
    """Return where an agent is, as `Place` beside the table describes it: the text of a setting may depend on it."""
    settings_table()
    return importlib.import_module(f"{_HOST_PACKAGE}.setting").Place(**where)


def environment_names() -> Mapping[str, str]:
    """Name the environment variable that each variable of the role kraken_agent becomes, where it becomes one."""
    return {setting.variable: setting.name for setting in settings_table().SETTINGS if setting.name}


def read_yaml(text: str) -> Any:
    """Read a YAML document quickly."""
    return yaml.load(text, _LOADER)  # noqa: S506 - both are safe loaders


def _specification_files() -> list[Path]:
    return sorted(collection_root().glob("roles/*/meta/argument_specs.yml"))


def _options(path: Path) -> Iterator[tuple[str, Specification]]:
    for entry in read_yaml(path.read_text(encoding="utf-8"))["argument_specs"].values():
        yield from entry.get("options", {}).items()
