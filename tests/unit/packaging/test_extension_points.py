"""Whoever adds one more of something is told what is still missing; CONTRIBUTING.md says which test does so."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import METHODS, WINDOWS
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from kraken_agent.executors import registry
from kraken_agent.tools.catalog import BUILTIN_COMMANDS, RUN_COMMANDS

from kraken_fleet.collection import role_variables
from kraken_fleet.lab.driver import _DRIVERS
from kraken_fleet.plan import trust
from kraken_fleet.server.rest import workflow_schema
from kraken_fleet.server.store import seed
from kraken_fleet.web.rows import SORTS

ROOT = Path(__file__).resolve().parents[3]
EXECUTORS = list(registry._EXECUTORS)


def _read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _choices(role: str, variable: str, key: str = "") -> list[str]:
    option: Any = role_variables()[role][variable]
    return list((option["options"][key] if key else option)["choices"])


def _functions(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


# A tool of the agent


def test_a_module_with_the_commands_of_a_tool_is_in_the_catalog() -> None:
    commands = {*RUN_COMMANDS, "collect_tests"}
    of_the_runner = {"runner"}  # its `run` runs the tools
    found = {
        path.stem for path in (ROOT / "agent" / "kraken_agent" / "tools").glob("*.py") if _functions(path) & commands
    }
    assert found - of_the_runner == set(BUILTIN_COMMANDS)


def test_the_embedded_server_offers_every_tool_of_the_agent() -> None:
    assert set(BUILTIN_COMMANDS) - {*seed._TOOLS, *seed._LATER_TOOLS} == set()


def test_the_documentation_of_the_agent_names_every_tool() -> None:
    text = _read("docs/agent.md")
    assert [name for name in BUILTIN_COMMANDS if not re.search(rf"\b{name}\b", text)] == []


# An executor


def test_an_executor_may_be_expected_in_an_inventory() -> None:
    assert _choices("kraken_registration", "kraken_agent_executors") == EXECUTORS
    assert _choices("kraken_agent", "kraken_agent_instances", "executors") == EXECUTORS


def test_an_executor_may_be_asked_for_in_a_workflow() -> None:
    environment = re.search(r'"executor": \{"enum": \[(.*?)\]', Path(workflow_schema.__file__).read_text())
    assert environment
    assert re.findall(r'"(\w+)"', environment[1]) == EXECUTORS


def test_an_executor_is_looked_for_on_the_host_and_described() -> None:
    assert ["local", *(name for name, _ in registry.present())] == EXECUTORS
    text = _read("docs/agent.md").lower()
    assert [name for name in EXECUTORS if name not in text] == []


# A trust policy


def test_a_trust_policy_may_be_chosen_everywhere_and_is_described() -> None:
    classes = [one for one in vars(trust).values() if isinstance(one, type) and one.__module__ == trust.__name__]
    given: dict[str, tuple[Any, ...]] = {"AttestedTrust": ({},), "CidrTrust": (("10.0.0.0/8",),), "RulesTrust": ((),)}
    policies = [
        one(*given.get(one.__name__, ())) for one in classes if hasattr(one, "decide") and one.__name__ != "TrustPolicy"
    ]
    names = {policy.name for policy in policies}
    assert names == set(_choices("kraken_registration", "kraken_registration_trust"))
    assert names == set(_choices("kraken_agent", "kraken_registration_trust"))
    assert names == set(arguments_of("agent_registration")["trust"]["choices"])
    assert names == set(re.findall(r"^\| `(\w+)`", _read("docs/trust.md"), re.MULTILINE))


# A way of installing


def test_a_way_of_installing_may_be_chosen_has_tasks_and_is_described() -> None:
    chosen = _choices("kraken_agent", "kraken_agent_install_method")
    assert [*chosen, WINDOWS] == list(METHODS)
    tasks = ROOT / "roles" / "kraken_agent" / "tasks"
    # `binaries` is what tasks/main.yml does itself.
    assert [name for name in METHODS if not (tasks / f"{name}.yml").is_file()] == ["binaries"]
    headings = {heading.lower() for heading in re.findall(r"^## (.*)$", _read("docs/install-methods.md"), re.MULTILINE)}
    assert set(METHODS) <= headings


# A column of a page


def test_every_column_of_the_agents_page_has_a_cell_and_sorts_by_what_rows_know() -> None:
    text = _read("kraken_fleet/web/templates/agents.html")
    columns = re.findall(r'\((none|"\w+"), "([\w ]+)"\)', text)
    assert columns
    row = text.split("{% for row in page.rows %}")[1].split("{% else %}\n      <tr><td colspan")[0]
    assert len(re.findall(r"<t[hd][ >]", row)) == len(columns) + 1, "one cell for each column, and the box to tick"
    assert f'<td colspan="{len(columns) + 1}" class="empty">' in text
    assert {name.strip('"') for name, _ in columns} - {"none"} == set(SORTS)


# A lab driver


@pytest.mark.parametrize("name", list(_DRIVERS))
def test_a_lab_driver_has_its_function_and_is_described(name: str) -> None:
    path = ROOT / f"{_DRIVERS[name].replace('.', '/')}.py"
    assert "driver" in _functions(path)
    described = _read("README.md") + "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    assert name == "local" or f"--driver {name}" in described


# The table itself


def test_the_table_of_contributing_names_files_and_tests_that_are_there() -> None:
    table = _read("CONTRIBUTING.md").split("## One more of something")[1].split("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ")][1:]
    assert [row for row in rows if "tests/" not in row] == []
    for path in re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.\w+)`", table):
        assert (ROOT / path).is_file(), path
