"""Expressions over plain data: no calls but `.get`, no imports, no attributes of objects, bounded results.

They serve stages (`def stage(ctx): return {...}`) and fields (`#{was_no_error}`). The text is parsed, and its tree is
walked here; nothing of it is ever run by Python.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

# A stage larger than this is a mistake or an attack.
MAX_TEXT = 200_000
_MAX_PARTS = 100_000
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, box: item in box,
    ast.NotIn: lambda item, box: item not in box,
    ast.Is: lambda left, right: left == right,
    ast.IsNot: lambda left, right: left != right,
}


class ExpressionError(ValueError):
    """What is not allowed or does not work, in words for the person who wrote it."""


def evaluate(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return the value of an expression.

    Args:
        node: its parsed tree.
        names: what the names in it stand for; only plain data.

    Raises:
        ExpressionError: it uses something that is not allowed, an unknown name or field, or wrong types.
    """
    handler = _HANDLERS.get(type(node))
    if handler is None:
        raise ExpressionError(
            f"line {node.lineno}: {_title(node)} is not allowed, only plain data and simple conditions"
        )
    try:
        return handler(node, names)
    except ExpressionError:
        raise
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise ExpressionError(f"line {node.lineno}: {error}") from error


def evaluate_text(text: str, names: Mapping[str, Any]) -> Any:
    """Do the same for a text with one expression.

    Raises:
        ExpressionError: it is none, or cannot be evaluated.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return evaluate(tree.body, names)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"cannot be parsed: {error}") from error


def count_parts(value: Any) -> int:
    """Say how many parts a value has once written out; shared parts count each time.

    Raises:
        ExpressionError: more than a hundred thousand.
    """
    total = 0
    left = [value]
    while left:
        part = left.pop()
        total += 1 + (len(part) // 100 if isinstance(part, str) else 0)
        if total > _MAX_PARTS:
            raise ExpressionError("the result is too large")
        if isinstance(part, dict):
            left += part.values()
        elif isinstance(part, list | tuple):
            left += part
    return total


def _title(node: ast.expr) -> str:
    return {ast.Call: "a call", ast.Lambda: "a lambda", ast.ListComp: "a comprehension"}.get(
        type(node), type(node).__name__
    )


def _constant(node: ast.Constant, _names: Mapping[str, Any]) -> Any:
    # A schema is kept, and given out, as JSON.
    if isinstance(node.value, bytes | complex) or node.value is ...:
        raise ExpressionError(f"line {node.lineno}: {node.value!r} has no place in JSON")
    return node.value


def _name(node: ast.Name, names: Mapping[str, Any]) -> Any:
    if node.id not in names:
        raise ExpressionError(f"line {node.lineno}: unknown name '{node.id}'")
    return names[node.id]


def _field(box: Any, key: Any, line: int) -> Any:
    if isinstance(box, Mapping):
        if key not in box:
            raise ExpressionError(f"line {line}: missing field {key}")
        return box[key]
    # Only items, never attributes: from `x.__class__` on one comes to everything that Python can do.
    if isinstance(box, list | str) and isinstance(key, int):
        return box[key]
    raise ExpressionError(f"line {line}: {type(box).__name__} has no field {key}")


def _attribute(node: ast.Attribute, names: Mapping[str, Any]) -> Any:
    return _field(evaluate(node.value, names), node.attr, node.lineno)


def _subscript(node: ast.Subscript, names: Mapping[str, Any]) -> Any:
    return _field(evaluate(node.value, names), evaluate(node.slice, names), node.lineno)


def _list(node: ast.List | ast.Tuple, names: Mapping[str, Any]) -> list[Any]:
    return [evaluate(item, names) for item in node.elts]


def _dict(node: ast.Dict, names: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            raise ExpressionError(f"line {node.lineno}: ** is not allowed")
        name = evaluate(key, names)
        if not isinstance(name, str):
            raise ExpressionError(f"line {key.lineno}: {name!r} is not a string, and names of fields are")
        result[name] = evaluate(value, names)
    return result


def _unary(node: ast.UnaryOp, names: Mapping[str, Any]) -> Any:
    value = evaluate(node.operand, names)
    if isinstance(node.op, ast.Not):
        return not value
    if isinstance(node.op, ast.USub):
        return -value
    raise ExpressionError(f"line {node.lineno}: this operator is not allowed")


def _bool(node: ast.BoolOp, names: Mapping[str, Any]) -> Any:
    stop_at = isinstance(node.op, ast.Or)
    value: Any = None
    for part in node.values:
        value = evaluate(part, names)
        if bool(value) == stop_at:
            break
    return value


def _compare(node: ast.Compare, names: Mapping[str, Any]) -> bool:
    left = evaluate(node.left, names)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        right = evaluate(right_node, names)
        if not _COMPARE[type(op)](left, right):
            return False
        left = right
    return True


def _binary(node: ast.BinOp, names: Mapping[str, Any]) -> Any:
    left, right = evaluate(node.left, names), evaluate(node.right, names)
    if isinstance(node.op, ast.Add):
        total = left + right
        # At each sum: a text that is added to itself thirty times has a billion characters.
        count_parts(total)
        return total
    if isinstance(node.op, ast.Sub):
        return left - right
    raise ExpressionError(f"line {node.lineno}: of the operators only + and - are allowed")


def _condition(node: ast.IfExp, names: Mapping[str, Any]) -> Any:
    return evaluate(node.body if evaluate(node.test, names) else node.orelse, names)


def _format(node: ast.JoinedStr, names: Mapping[str, Any]) -> str:
    text = ""
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            if part.format_spec is not None or part.conversion != -1:
                raise ExpressionError(f"line {node.lineno}: formats in an f-string are not allowed")
            value = evaluate(part.value, names)
            count_parts(value)
            text += str(value)
        else:
            text += str(evaluate(part, names))
    return text


def _call(node: ast.Call, names: Mapping[str, Any]) -> Any:
    function = node.func
    if (
        not isinstance(function, ast.Attribute)
        or function.attr != "get"
        or node.keywords
        or len(node.args) not in (1, 2)
    ):
        raise ExpressionError(f"line {node.lineno}: a call is not allowed, except .get(name, default)")
    box = evaluate(function.value, names)
    if not isinstance(box, Mapping):
        raise ExpressionError(f"line {node.lineno}: .get is for dictionaries")
    key, *default = (evaluate(argument, names) for argument in node.args)
    return box.get(key, default[0] if default else None)


_HANDLERS: dict[type[ast.expr], Callable[[Any, Mapping[str, Any]], Any]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.List: _list,
    ast.Tuple: _list,
    ast.Dict: _dict,
    ast.UnaryOp: _unary,
    ast.BoolOp: _bool,
    ast.Compare: _compare,
    ast.BinOp: _binary,
    ast.IfExp: _condition,
    ast.JoinedStr: _format,
    ast.Call: _call,
}
