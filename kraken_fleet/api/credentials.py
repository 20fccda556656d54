"""Who we are to a Kraken server: a user with a password, or a token. Neither ever shows in a repr."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kraken_fleet.errors import UsageError


@dataclass(frozen=True, slots=True)
class PasswordCredentials:
    """A user and a password: the client signs in when it first needs to, and again when its token has expired."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenCredentials:
    """A token that someone else got: it cannot be renewed.

    Raises:
        UsageError: the token is empty or has characters that no HTTP header may carry.
    """

    token: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.token or not all("!" <= char <= "~" for char in self.token):
            raise UsageError(
                "The token is empty or has blanks or control characters in it",
                hint="Copy it again: a Kraken token is one word of 32 hexadecimal digits",
            )


Credentials = PasswordCredentials | TokenCredentials


def read_secret(path: str | Path) -> str:
    """Read a password or a token from a file; line ends around it are left out.

    Raises:
        UsageError: the file cannot be read, or is empty.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "It is not text"
        raise UsageError(f"The secret in it cannot be read: {reason}", where=str(path)) from None
    if not text:
        raise UsageError("The file is empty", where=str(path), hint="It should hold the secret and nothing else")
    return text
