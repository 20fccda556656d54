"""What ansible-doc says of the modules is what they take."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction

ROOT = Path(__file__).parents[3]
PACKAGE = "ansible_collections.kraken_ci.fleet.plugins.action"
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))


def arguments_of(module: str) -> dict[str, dict[str, Any]] | None:
    """What the action plugin of a module checks; None when a module on the host does."""
    if not (ROOT / "plugins" / "action" / f"{module}.py").exists():
        return None
    action = importlib.import_module(f"{PACKAGE}.{module}").ActionModule
    return action.ARGUMENTS if issubclass(action, ControllerAction) else None


ON_CONTROLLER = [module for module in MODULES if arguments_of(module) is not None]


@pytest.fixture(scope="module")
def documented() -> dict[str, dict[str, Any]]:
    """What ansible-doc reads, by module."""
    names = [f"kraken_ci.fleet.{module}" for module in MODULES]
    program = str(Path(sys.executable).parent / "ansible-doc")
    done = subprocess.run(
        [program, "--json", "-t", "module", *names], capture_output=True, text=True, cwd=ROOT, check=True
    )
    found = json.loads(done.stdout)
    return {module: found[f"kraken_ci.fleet.{module}"] for module in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_documentation_examples_and_return_values(
    module: str, documented: dict[str, dict[str, Any]]
) -> None:
    found = documented[module]
    assert f"kraken_ci.fleet.{module}:" in found["examples"]
    assert found["return"]
    assert found["doc"]["attributes"]["check_mode"]["support"]


@pytest.mark.parametrize("module", ON_CONTROLLER)
def test_the_options_of_an_action_are_the_documented_ones(module: str, documented: dict[str, dict[str, Any]]) -> None:
    options = documented[module]["doc"]["options"]
    arguments = arguments_of(module)
    assert arguments is not None
    assert set(options) == set(arguments)
    for name, spec in arguments.items():
        told = options[name]
        for key, value in {"type": "str", "default": None, "choices": None, "elements": None}.items():
            assert told.get(key) == spec.get(key, value), f"{name}: {key}"
        assert told.get("required", False) == spec.get("required", False), name


def test_every_module_that_talks_to_a_server_takes_its_defaults_from_one_place() -> None:
    """`module_defaults: {group/kraken_ci.fleet.fleet: {server_url: ...}}`."""
    text = (ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8")
    with_server = [module for module in ON_CONTROLLER if "server_user" in (arguments_of(module) or {})]
    assert [module for module in with_server if f"- {module}\n" not in text] == []
