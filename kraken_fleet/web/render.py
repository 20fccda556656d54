"""Templates to HTML. The only module of the house that imports a template engine; it escapes everything."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kraken_fleet.model import ago

_TEMPLATES = Path(__file__).parent / "templates"


class Renderer:
    """Renders templates with the few filters they need."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(ago=ago, moment=moment, plural=plural)

    def render(self, template: str, **values: object) -> str:
        return self._environment.get_template(template).render(**values)


def moment(then: datetime | None) -> Markup:
    """Write a `time` element: a distance for people, the exact time for programs, for the mouse and for the script."""
    if then is None:
        return Markup("never")
    exact = then.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(exact, ago(then))


def plural(count: int, one: str, many: str | None = None) -> str:
    """ "1 agent", "2 agents"."""
    return f"{count} {one if count == 1 else many or one + 's'}"
