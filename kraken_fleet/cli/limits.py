"""One option for each limit on what strangers may do, the same for `serve` and `console`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from kraken_fleet.listen import Limits

_P = ParamSpec("_P")
Proxies = Annotated[
    list[str] | None,
    typer.Option(
        "--proxy",
        help="A proxy in front of it, by address or network: it says who a peer is. May be given more than once.",
        metavar="ADDRESS",
    ),
]


def with_limits(*names: str) -> Callable[[Callable[Concatenate[Limits, _P], None]], Callable[..., None]]:
    """Give a command an option for each of these limits, or for all; it gets the limits as its first argument."""
    return lambda command: _with(command, {one.name: one for one in fields(Limits) if one.name in names or not names})


def _with(command: Callable[Concatenate[Limits, _P], None], limits: dict[str, Field[Any]]) -> Callable[..., None]:
    @functools.wraps(command)
    def with_them(*args: _P.args, **kwargs: _P.kwargs) -> None:
        given: dict[str, Any] = {name: kwargs.pop(name) for name in limits}
        command(Limits(**given), *args, **kwargs)

    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=_annotation(name, one))
        for name, one in limits.items()
    ]
    with_them.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]  # read by inspect
    with_them.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *added)}
    return with_them


def _annotation(name: str, one: Any) -> Any:
    option = f"--limit-{name.replace('_', '-')}"
    help_text = one.metadata["meaning"]
    return Annotated[int, typer.Option(option, help=help_text, min=1, metavar="N", rich_help_panel="Limits")]
