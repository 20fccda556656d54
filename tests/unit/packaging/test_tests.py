"""The tests are where CONTRIBUTING says, and their names can be read in one line."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
TESTS = ROOT / "tests"
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def test_each_folder_of_unit_tests_is_a_package_or_named_in_contributing() -> None:
    places = ("kraken_fleet", "agent/kraken_agent")
    packages = {path.parent.name for place in places for path in ROOT.glob(f"{place}/*/*.py")}
    packages |= {"agent", "plugins"}
    folders = {path.parent.name for path in TESTS.glob("unit/*/*.py")}
    assert {name for name in folders - packages if f"`tests/unit/{name}/`" not in CONTRIBUTING} == set()


def test_each_folder_of_tests_is_named_in_contributing() -> None:
    folders = {path.relative_to(ROOT).parts[1] for path in TESTS.glob("*/*") if path.parent.name != "__pycache__"}
    assert {name for name in folders if f"`tests/{name}/`" not in CONTRIBUTING} == set()


def test_names_have_at_most_eighty_characters_and_each_is_there_once() -> None:
    twice, long = [], []
    for path in TESTS.rglob("*.py"):
        names = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        twice += [f"{path}: {name}" for name in set(names) if names.count(name) > 1]
        long += [name for name in names if name.startswith("test_") and len(name) > 80]
    assert (twice, long) == ([], [])
