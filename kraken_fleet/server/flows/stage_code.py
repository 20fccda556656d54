"""Stages: from the text of `def stage(ctx)` to a checked schema, without running any of it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from kraken_fleet.server.flows.expressions import MAX_TEXT, ExpressionError, count_parts, evaluate


class StageError(ValueError):
    """What is wrong with a stage, in words for its author. The API answers it with 400."""


def read_stage(code: str, ctx: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema that a stage's code describes, with defaults filled in.

    Args:
        code: one function `stage(ctx)` that may assign names and returns a dictionary: literals, names, fields of
            `ctx`, conditions, + and f-strings.
        ctx: what the code may look at.

    Raises:
        StageError: the code cannot be read or the schema lacks something.
    """
    try:
        schema = _returned(_function(code), ctx)
        count_parts(schema)
    except ExpressionError as error:
        raise StageError(f"compilation error: {error}") from error
    except RecursionError as error:
        raise StageError("compilation error: nested too deeply") from error
    if not isinstance(schema, dict):
        raise StageError("compilation error: stage(ctx) has to return a dictionary")
    return _completed(schema)


def _function(code: str) -> ast.FunctionDef:
    if len(code) > MAX_TEXT:
        raise ExpressionError(f"longer than {MAX_TEXT} characters")
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ExpressionError(str(error)) from error
    match tree.body:
        case [ast.FunctionDef(name="stage", args=ast.arguments(args=[ast.arg(arg="ctx")])) as function]:
            return function
    raise ExpressionError("expected one function, def stage(ctx), and nothing beside it")


def _returned(function: ast.FunctionDef, ctx: Mapping[str, Any]) -> Any:
    names: dict[str, Any] = {"ctx": ctx}
    for statement in function.body:
        match statement:
            case ast.Return(value=ast.expr() as value):
                return evaluate(value, names)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                names[name] = evaluate(value, names)
            case ast.Expr(value=ast.Constant(value=str())):
                continue  # the docstring
            case _:
                kind = type(statement).__name__
                raise ExpressionError(f"line {statement.lineno}: {kind} is not allowed, only assignments and return")
    raise ExpressionError("stage(ctx) returns nothing")


def _completed(schema: dict[str, Any]) -> dict[str, Any]:
    schema.setdefault("jobs", [])
    schema.setdefault("configs", [])
    schema.setdefault("parameters", [])
    schema["parent"] = schema.get("parent") or "root"
    schema["triggers"] = schema.get("triggers") or {"parent": True}
    _need(schema, "triggers", dict, "schema")
    for number, parameter in enumerate(_need(schema, "parameters", list, "schema")):
        _need(parameter, "name", str, f"parameters[{number}]")
        _need(parameter, "default", object, f"parameters[{number}]")
    names = [_checked_job(job, f"jobs[{number}]") for number, job in enumerate(_need(schema, "jobs", list, "schema"))]
    for name in names:
        if names.count(name) > 1:
            raise StageError(f"Two jobs with the same name '{name}'")
    return schema


def _checked_job(job: Any, where: str) -> str:
    name: str = _need(job, "name", str, where)
    for number, step in enumerate(_need(job, "steps", list, where)):
        _need(step, "tool", str, f"{where}.steps[{number}]")
    for number, environment in enumerate(_need(job, "environments", list, where)):
        place = f"{where}.environments[{number}]"
        _need(environment, "agents_group", str, place)
        _need(environment, "system", (str, list), place)
    return name


def _need(box: Any, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    if not isinstance(box, dict):
        raise StageError(f"{where}: {box!r} is not of type 'object'")
    if name not in box:
        raise StageError(f"{where}: '{name}' is a required property")
    if not isinstance(box[name], kind):
        raise StageError(f"{where}: {box[name]!r} has the wrong type for '{name}'")
    return box[name]
