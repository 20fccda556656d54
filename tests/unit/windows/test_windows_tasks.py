"""Every task with a module of ansible.windows is written as that module's own documentation has it."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.plugin_docs import read_docstring

ROOT = Path(__file__).parents[3]
COLLECTION = Path(sysconfig.get_path("purelib"), "ansible_collections", "ansible", "windows")
PREFIX = "ansible.windows."


def tasks() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The file, the module and the arguments of each."""
    for path in sorted(ROOT.glob("roles/*/tasks/*.yml")):
        for task in _flat(yaml.safe_load(path.read_text())):
            for key, arguments in task.items():
                if key.startswith(PREFIX):
                    yield f"{path.parts[-3]}/{path.name}", key.removeprefix(PREFIX), arguments


def _flat(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for task in found:
        yield task
        for section in ("block", "rescue", "always"):
            yield from _flat(task.get(section, []))


def options_of(module: str) -> dict[str, dict[str, Any]]:
    """What the module takes; options of its shared fragments, such as a proxy's, are used by no task here."""
    path = COLLECTION / "plugins" / "modules" / f"{module}.py"
    assert path.is_file(), f"{path} is not there: `make setup` puts the collection into the environment"
    documentation = read_docstring(str(path))["doc"]
    return dict(documentation["options"])


@pytest.mark.parametrize(("file", "module", "arguments"), list(tasks()))
def test_a_task_for_windows_fits_its_module(file: str, module: str, arguments: dict[str, Any]) -> None:
    options = options_of(module)
    assert set(arguments) <= set(options), file
    assert {name for name, option in options.items() if option.get("required")} <= set(arguments)
    for name, value in arguments.items():
        if "choices" in options[name] and "{{" not in str(value):
            assert value in options[name]["choices"], name


def test_there_are_such_tasks_in_both_roles() -> None:
    assert {file.split("/")[0] for file, _, _ in tasks()} == {"kraken_agent", "kraken_prereqs"}
