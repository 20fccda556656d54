"""Templates to HTML. The only module that imports a template engine; it escapes everything."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from kraken_fleet.model import ago

_TEMPLATES = Path(__file__).parent / "templates"


class Renderer:
    """Renders templates with the few filters they need."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            # A name that is mistyped in a template fails its test instead of showing nothing.
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            ago=ago, moment=moment, clock=clock, plural=plural, size=size, host_name=host_name, with_code=with_code
        )

    def render(self, template: str, **values: object) -> str:
        return self._environment.get_template(template).render(**values)


def moment(then: datetime | None) -> Markup:
    """Write a `time` element: a distance for people, the exact time for programs, for the mouse and for the script."""
    if then is None:
        return Markup("never")
    exact = then.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(exact, ago(then))


def clock(then: datetime | str, parts: str = "full") -> Markup:
    """Write a `time` element with a date and time: in UTC, which the script replaces by the reader's time zone.

    Args:
        then: with its time zone, or ISO 8601.
        parts: `full`, or `minute` for the time of day only.
    """
    moment = datetime.fromisoformat(then) if isinstance(then, str) else then
    utc = moment.astimezone(UTC)
    shown = utc.strftime("%H:%M" if parts == "minute" else "%Y-%m-%d %H:%M UTC")
    exact = utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" data-clock="{}">{}</time>').format(exact, parts, shown)


def size(number: int | None) -> str:
    """ "7.8 GiB", as `free -h` and `df -h` say it; empty for None."""
    if number is None:
        return ""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("the last unit takes every number")


def with_code(text: str) -> Markup:
    """Write what stands between backticks, such as a command in a hint, as code. All of it is escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick of somebody else's words, and no pair
        return escape(text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


def host_name(url: str) -> str:
    """Return the host and port of a URL: what people call a server."""
    return urlsplit(url).netloc or url


def plural(count: int, one: str, many: str | None = None) -> str:
    """ "1 agent", "2 agents"."""
    return f"{count} {one if count == 1 else many or one + 's'}"
