"""One option for each limit on what unknown clients may do, the same for `serve` and `console`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields
from typing import Annotated, Any

import typer

from kraken_fleet.cli.options import option, with_options
from kraken_fleet.listen import Limits

Proxies = Annotated[
    list[str] | None,
    typer.Option(
        "--proxy",
        help="A proxy in front of it, by address or network: its X-Forwarded-For is used. May be given more than once.",
        metavar="ADDRESS",
    ),
]


def with_limits(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each of these limits, or for all; it gets the limits as `limits`."""
    limits = [one for one in fields(Limits) if one.name in names or not names]
    options = [option(one.name, _annotation(one.name, one), one.default) for one in limits]
    return lambda command: with_options(command, "limits", options, lambda **given: nullcontext(Limits(**given)))


def _annotation(name: str, one: Any) -> Any:
    option = f"--limit-{name.replace('_', '-')}"
    help_text = one.metadata["meaning"]
    return Annotated[int, typer.Option(option, help=help_text, min=1, metavar="N", rich_help_panel="Limits")]
