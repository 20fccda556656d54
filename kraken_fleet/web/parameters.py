"""Reading what a URL or a form says. Everything that is no number where one belongs is refused here, in one way."""

from __future__ import annotations

# More digits than any page or id has; beyond some thousands Python itself refuses to read a number.
_MAX_DIGITS = 18


class BadParameterError(ValueError):
    """A parameter of a URL or a form makes no sense; the message names it and says what belongs there."""


def whole_number(text: str | None, name: str, default: int) -> int:
    """Read a parameter that is a whole number of at least 0, written with the digits 0 to 9.

    Args:
        text: what came; None and the empty text mean `default`.
        name: the parameter's, for the message.

    Raises:
        BadParameterError: it is something else.
    """
    if not text:
        return default
    # Other digits than 0 to 9 count as digits in Python, and some of them are no number to int().
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise BadParameterError(f"{name} is not a whole number")
    return int(text)
