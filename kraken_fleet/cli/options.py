"""Options that several commands have: a command gets what they make instead of the options themselves."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any


def option(name: str, annotation: Any, default: object = None) -> inspect.Parameter:
    """Declare one option, as a parameter of a command would.

    Args:
        annotation: its type with a typer.Option.
    """
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def with_options(
    command: Callable[..., None],
    parameter: str,
    options: Iterable[inspect.Parameter],
    make: Callable[..., AbstractContextManager[object]],
) -> Callable[..., None]:
    """Give a command more options; it gets what they make in place of them.

    Args:
        parameter: the command's parameter for that.
        make: is called with the options' values; what it makes is closed when the command is over.
    """
    added = list(options)

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        values: Mapping[str, Any] = {each.name: given.pop(each.name) for each in added}
        with make(**values) as made:
            command(**{parameter: made}, **given)

    signature = inspect.signature(command, eval_str=True)
    own = [each for each in signature.parameters.values() if each.name != parameter]
    # functools.wraps has copied the command's own signature, and Typer makes options from this one.
    wrapped.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]  # read by inspect
    wrapped.__annotations__ = {each.name: each.annotation for each in (*own, *added)}
    return wrapped
