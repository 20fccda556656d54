"""Comparing what a command printed with --json with its schema in docs/schemas."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).resolve().parents[1] / "docs" / "schemas"


@cache
def index() -> dict[str, str]:
    """The file of each command's schema, by the command without its first word: `agents list`."""
    found: dict[str, str] = json.loads((SCHEMAS / "index.json").read_text(encoding="utf-8"))
    return found


def check_answer(arguments: Sequence[str], out: str) -> None:
    """Compare the answer of `kraken-fleet ARGUMENTS`; without --json in them there is nothing to compare.

    Raises:
        AssertionError: the command has no schema, or its answer is another one, or has a field that the schema has not.
    """
    if "--json" not in arguments:
        return
    named = [" ".join(arguments[:number]) for number in (2, 1)]
    file = next((index()[name] for name in named if name in index()), "")
    if file.endswith("-events.json"):
        documents = [json.loads(line) for line in out.splitlines() if line.startswith('{"event"')]
    else:
        documents = [json.loads(out)]
    for document in documents:
        failed = isinstance(document, dict) and document.get("ok") is False
        assert file or failed, f"{named[0]} has no schema: see docs/json_schemas.py"
        _check("error.json" if failed else file, document)


def _check(file: str, document: Any) -> None:
    problems = [f"{error.json_path}: {error.message}" for error in _validator(file).iter_errors(document)]
    assert problems == [], f"{file}: {problems[0]}"


@cache
def _validator(file: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / file).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(_closed(schema))


def _closed(value: Any) -> Any:
    """Allow no field that the schema does not name: it would be printed and not described."""
    if isinstance(value, list):
        return [_closed(one) for one in value]
    if not isinstance(value, dict):
        return value
    closed = {name: _closed(one) for name, one in value.items()}
    return {**closed, "additionalProperties": False} if isinstance(value.get("properties"), dict) else closed
