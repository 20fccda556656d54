"""Each answer for programs has a schema, and the check of the answers finds what a schema does not say.

The answers themselves are compared wherever a test asks for one: by `ask` and `run`, and by the labs of the slow tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from typer.core import TyperGroup

from kraken_fleet.cli.main import COMMANDS, load
from tests.json_answers import SCHEMAS, check_answer, index


def _commands_with_json() -> Iterator[str]:
    for name in COMMANDS:
        command = load(name)
        whole = {name: command}
        if isinstance(command, TyperGroup):
            whole |= {f"{name} {one}": sub for one, sub in command.commands.items()}
        yield from (one for one, sub in whole.items() if any("--json" in option.opts for option in sub.params))


def test_every_command_with_json_has_a_schema_and_no_other_has() -> None:
    assert set(_commands_with_json()) == set(index())


def test_every_file_of_the_directory_is_the_schema_of_a_command() -> None:
    assert {file.name for file in SCHEMAS.glob("*.json")} == {*index().values(), "index.json", "error.json"}


@pytest.mark.parametrize(
    "data",
    [
        [{"subject": "build-1", "state": "drained", "more": 1}],
        [{"subject": "build-1"}],
        [{"subject": "build-1", "state": 3}],
        {},
    ],
)
def test_an_answer_that_is_another_one_is_found(data: object) -> None:
    check_answer(["agents", "drain", "--json"], json.dumps({"ok": True, "data": [{"subject": "a", "state": "b"}]}))
    with pytest.raises(AssertionError, match=r"changes\.json"):
        check_answer(["agents", "drain", "--json"], json.dumps({"ok": True, "data": data}))


def test_an_event_that_is_another_one_is_found() -> None:
    line = {"event": "sleeping", "seconds": 3.0}
    check_answer(["reconcile", "--json"], json.dumps(line))
    with pytest.raises(AssertionError, match="reconcile-events"):
        check_answer(["reconcile", "--json"], json.dumps({**line, "event": "asleep"}))
