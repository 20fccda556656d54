"""The collection as a whole: what is documented is what is there."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
ACTIONS = sorted(path.stem for path in (ROOT / "plugins" / "action").glob("*.py"))
_PLUGINS = "ansible_collections.kraken_ci.fleet.plugins"


def specification(role: str) -> dict[str, Any]:
    text = (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)["argument_specs"]["main"]
    return found


def options(role: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = specification(role)["options"]
    return found


def defaults(role: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text())
    return found


@pytest.mark.parametrize("role", ROLES)
def test_a_roles_defaults_are_those_that_its_argument_specs_tell(role: str) -> None:
    told = {name: option["default"] for name, option in options(role).items() if "default" in option}
    given = {name: value for name, value in defaults(role).items() if name in told}
    assert given == told
    assert set(defaults(role)) <= set(options(role)), "a default that no specification has"


def test_a_variable_of_several_roles_is_the_same_everywhere() -> None:
    seen: dict[str, dict[str, Any]] = {}
    for role in ROLES:
        for name, option in options(role).items():
            kind = {key: option.get(key) for key in ("type", "elements", "choices", "default", "no_log")}
            assert seen.setdefault(name, kind) == kind, name


@pytest.mark.parametrize("module", MODULES)
def test_a_module_documents_examples_and_results(module: str) -> None:
    found = import_module(f"{_PLUGINS}.modules.{module}")
    documentation = yaml.safe_load(found.DOCUMENTATION)
    assert documentation["module"] == module
    assert documentation["version_added"]
    assert any(f"kraken_ci.fleet.{module}" in task for task in yaml.safe_load(found.EXAMPLES))
    assert yaml.safe_load(found.RETURN)
    fragments = documentation["extends_documentation_fragment"]
    assert any("kraken_ci.fleet.attributes" in name for name in fragments), "says nothing of check mode"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_says_since_when_it_is_there(role: str) -> None:
    assert specification(role)["version_added"]


def test_every_action_has_its_documentation() -> None:
    assert set(ACTIONS) <= set(MODULES)


def test_modules_of_the_server_share_their_defaults() -> None:
    group = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]["fleet"]
    of_the_server = [
        name
        for name in MODULES
        if "kraken_ci.fleet.server\n" in import_module(f"{_PLUGINS}.modules.{name}").DOCUMENTATION
    ]
    assert set(of_the_server) <= set(group)
    assert set(group) <= set(MODULES)


def test_every_playbook_can_be_called_by_its_full_name() -> None:
    books = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    for name in books:
        assert name.replace("-", "_") in books, f"{name} has no twin without hyphens"
    for path in (ROOT / "playbooks").glob("*_*.yml"):
        (play,) = yaml.safe_load(path.read_text())
        assert play["ansible.builtin.import_playbook"] == path.name.replace("_", "-")


def test_playbooks_and_roles_are_understood_by_ansible(tmp_path: Path) -> None:
    books = sorted(str(path) for path in (ROOT / "playbooks").glob("*.yml"))
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    command = [sys.executable, "-m", "ansible", "playbook", "--syntax-check", "-i", str(ROOT / "inventories/example")]
    done = subprocess.run(
        [*command, *books], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "ansible", "doc", "-t", "role", "--json", "kraken_ci.fleet.kraken_agent"]
    shown = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=True)
    assert (
        "kraken_agent_dir"
        in json.loads(shown.stdout)["kraken_ci.fleet.kraken_agent"]["entry_points"]["main"]["options"]
    )


@pytest.mark.slow
def test_what_hosts_run_is_understood_by_every_python_that_hosts_have() -> None:
    """Checked with the grammar of Python 3.8; CI's hosts run it for real."""
    import ast

    for path in [*ROOT.glob("plugins/module_utils/**/*.py"), *ROOT.glob("plugins/modules/*.py")]:
        ast.parse(path.read_text(), str(path), feature_version=(3, 8))


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_a_playbook_says_its_strategy_since_run_once_needs_it(path: Path) -> None:
    plays = [play for play in yaml.safe_load(path.read_text()) if "hosts" in play]
    assert {play["strategy"] for play in plays} <= {"ansible.builtin.linear"}


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for statement in body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            yield statement.targets[0].id, statement.value


def test_documentation_is_written_as_ansible_test_reads_it() -> None:
    """ansible-test reads the source: each text has to be one literal, before the imports that a plugin needs."""
    for path in sorted((ROOT / "plugins" / "doc_fragments").glob("*.py")):
        (fragment,) = (one for one in ast.parse(path.read_text()).body if isinstance(one, ast.ClassDef))
        texts = dict(_assigned(fragment.body))
        assert texts
        assert [name for name, text in texts.items() if not isinstance(text, ast.Constant)] == [], path.name
    for kind in ("modules", "callback", "inventory", "lookup"):
        for path in sorted((ROOT / "plugins" / kind).glob("*.py")):
            body = ast.parse(path.read_text()).body
            texts = dict(_assigned(body))
            assert isinstance(texts["DOCUMENTATION"], ast.Constant), path.name
            needed = [
                one.lineno
                for one in body
                if isinstance(one, ast.Import | ast.ImportFrom) and getattr(one, "module", "") != "__future__"
            ]
            assert all(line > texts["DOCUMENTATION"].lineno for line in needed), path.name
