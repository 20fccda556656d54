"""Request bodies: read, decoded, and checked with the real server's words for what is wrong.

A shape is a type name (`"string"`), or a dict of the known fields of an object, or a list of one shape for an array.
Fields may be missing and others may be there: the real server checks only types, and few fields for presence.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request

from kraken_fleet.server.intake import Intake, NotJsonError, RefusedError
from kraken_fleet.server.rest.access import CoreDep
from kraken_fleet.server.rest.problems import Problem

_MAX_SHOWN = 200
Shape = str | dict[str, Any] | list[Any]
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


def body(shape: Shape, *, required: tuple[str, ...] = ()) -> Callable[..., Awaitable[Any]]:
    """Return a dependency that gives the decoded body.

    Args:
        shape: what it has to look like; a mismatch is answered with 400.
        required: fields of the outermost object that may not be missing.
    """

    async def decoded(request: Request, core: CoreDep) -> Any:
        raw = await request.body()
        value = decode(core.intake, raw)
        check(value, shape)
        for name in required:
            if name not in value:
                raise Problem(400, f"'{name}' is a required property")
        return value

    return decoded


def check(value: Any, shape: Shape, path: tuple[str, ...] = ()) -> None:
    """Raise a Problem naming the first part of `value` that has another type than `shape` says."""
    if isinstance(shape, str):
        _check_type(value, shape, path)
    elif isinstance(shape, list):
        _check_type(value, "array", path)
        for index, item in enumerate(value):
            check(item, shape[0], (*path, str(index)))
    else:
        _check_type(value, "object", path)
        for name, inner in shape.items():
            if name in value:
                check(value[name], inner, (*path, name))


def decode(intake: Intake, raw: bytes, name: str = "Request body") -> Any:
    """Return the JSON value of a body; None for an empty one.

    Raises:
        Problem: it is not JSON, or more than is taken.
    """
    if not raw:
        return None
    try:
        return intake.decode(raw)
    except NotJsonError as error:
        raise Problem(400, f"{name} is not valid JSON") from error
    except RefusedError as error:
        raise Problem(error.status, error.words) from error


def _check_type(value: Any, name: str, path: tuple[str, ...]) -> None:
    # In Python True is an int, and in JSON it is no number.
    is_bool = isinstance(value, bool)
    if isinstance(value, _TYPES[name]) and (is_bool == (name == "boolean")):
        return
    place = f" - '{'.'.join(path)}'" if path else ""
    raise Problem(400, f"{shortened(value)} is not of type '{name}'{place}")


def shortened(value: Any) -> str:
    """Return a value as Python writes it, cut where it is longer than a person reads."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
