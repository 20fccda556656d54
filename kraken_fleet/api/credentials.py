"""Who we are to a Kraken server: a user with a password, or a token. Neither ever shows in a repr."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kraken_fleet.errors import UsageError

_USER = "KRAKEN_FLEET_USER"
_PASSWORD = "KRAKEN_FLEET_PASSWORD"  # noqa: S105 - the name of a variable
_TOKEN = "KRAKEN_FLEET_TOKEN"  # noqa: S105 - the name of a variable
_SOURCES = f"Set {_USER} with {_PASSWORD}_FILE or {_PASSWORD}, or {_TOKEN}_FILE or {_TOKEN}"


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


def credentials_from(
    user: str | None = None,
    password_file: str | Path | None = None,
    token_file: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Credentials:
    """Puts credentials together from options and the environment; a secret given as an option wins.

    Args:
        user: the user name; default KRAKEN_FLEET_USER. Given, it asks for a password rather than a token.
        password_file: a file with the password; default KRAKEN_FLEET_PASSWORD_FILE, or KRAKEN_FLEET_PASSWORD itself.
        token_file: a file with a token; default KRAKEN_FLEET_TOKEN_FILE, or KRAKEN_FLEET_TOKEN itself.
        environ: the environment; default this process's own.

    Raises:
        UsageError: nothing is given, a password without a user or the reverse, both a token and a password, or a file
            that cannot be read.
    """
    env = os.environ if environ is None else environ
    token, password = _secrets(password_file, token_file, env, user_given=bool(user))
    user = user or env.get(_USER)
    if token and password:
        raise UsageError("Both a token and a password are given", hint="Give one of them")
    if token:
        return TokenCredentials(token)
    if user and password:
        return PasswordCredentials(user, password)
    if not user and not password:
        raise UsageError("There are no credentials for the Kraken server", hint=_SOURCES)
    raise UsageError(f"There is no {'password' if user else 'user'} to sign in with", hint=_SOURCES)


def _secrets(
    password_file: str | Path | None, token_file: str | Path | None, env: Mapping[str, str], *, user_given: bool
) -> tuple[str | None, str | None]:
    """Token and password; an option hides what the environment says about either."""
    if password_file or token_file:
        return _read(token_file) if token_file else None, _read(password_file) if password_file else None
    password = _from_environ(env, _PASSWORD)
    if password and user_given:
        return None, password
    return _from_environ(env, _TOKEN), password


def _from_environ(env: Mapping[str, str], name: str) -> str | None:
    value, file = env.get(name), env.get(f"{name}_FILE")
    if value and file:
        raise UsageError(f"Both {name} and {name}_FILE are set", hint="Set one of them")
    return value or (_read(file) if file else None)


def _read(path: str | Path) -> str:
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"The secret in it cannot be read: {reason}", where=str(path)) from None
    if not text:
        raise UsageError("The file is empty", where=str(path), hint="It should hold the secret and nothing else")
    return text
