"""Which server and which account to use, when several places can say so: one precedence for all.

The server, the CA bundle and the account are looked up each by itself, and the first place wins. An account is a user
with a password, or a token; the user may be named in another place than the password.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kraken_fleet.api.credentials import Credentials, PasswordCredentials, TokenCredentials, read_secret
from kraken_fleet.errors import FleetError, UsageError
from kraken_fleet.model import ServerAccount

_VARIABLE = "KRAKEN_FLEET_"
_SERVER_HINT = "Give --server URL, an inventory with kraken_server_url, or set KRAKEN_FLEET_SERVER"
_ACCOUNT_HINT = (
    "Give --user with --password-file, or --token-file, or set KRAKEN_FLEET_USER with KRAKEN_FLEET_PASSWORD_FILE, or "
    "KRAKEN_FLEET_TOKEN_FILE"
)


def find_server(levels: Sequence[ServerAccount]) -> tuple[str, Path | None]:
    """Choose the server, and the certificate authorities to trust, from the levels, the first of which wins.

    Raises:
        UsageError: no level names a server.
    """
    server = next((level.url for level in levels if level.url), "")
    if not server:
        raise UsageError("No Kraken server is named", hint=_SERVER_HINT)
    bundle = next((level.ca_bundle for level in levels if level.ca_bundle), "")
    return server, Path(bundle).expanduser() if bundle else None


def find_credentials(levels: Sequence[ServerAccount], ask: Callable[[str], Credentials] | None = None) -> Credentials:
    """Choose the account from the levels, the first of which wins.

    Args:
        ask: asks a person when no level has a password or a token; it gets the user's name, as far as it is known.

    Raises:
        UsageError: there is no account, or one level has both a password and a token.
        FleetError: only one level has an account, and it cannot be read.
    """
    locked: FleetError | None = None
    user = ""
    for number, level in enumerate(levels):
        user = user or level.user
        if level.password and level.token:
            said = "Both a password and a token are given"
            raise UsageError(said, where=level.name, hint="Give one of them in each place")
        if level.password:
            return PasswordCredentials(user or _user_below(levels[number:]), level.password)
        # A user that is named before a token asks for that user's password, which the token is not.
        if level.token and (not user or level.user == user):
            return TokenCredentials(level.token)
        # An account that cannot be read, such as one in a locked vault, is an error only when no later place has one.
        locked = locked or level.locked
    if locked:
        raise locked
    if ask:
        return ask(user)
    said = f"There is no password for user {user}" if user else "There is no account for the Kraken server"
    raise UsageError(said, hint=_ACCOUNT_HINT)


def of_files(
    name: str,
    server: str | None = None,
    user: str | None = None,
    password_file: str | Path | None = None,
    token_file: str | Path | None = None,
    ca_bundle: str | Path | None = None,
) -> ServerAccount:
    """Read a place that names files with secrets, as options and configuration files do.

    Args:
        name: the place, for messages.

    Raises:
        UsageError: a file cannot be read.
    """
    return ServerAccount(
        name,
        server or "",
        user or "",
        read_secret(password_file) if password_file else "",
        read_secret(token_file) if token_file else "",
        str(ca_bundle or ""),
    )


def of_environment(environ: Mapping[str, str] | None = None) -> ServerAccount:
    """Read the environment variables.

    Raises:
        UsageError: a file cannot be read, or a secret is given twice.
    """
    env = os.environ if environ is None else environ
    return ServerAccount(
        "the environment",
        env.get(f"{_VARIABLE}SERVER", ""),
        env.get(f"{_VARIABLE}USER", ""),
        _secret_variable(env, f"{_VARIABLE}PASSWORD"),
        _secret_variable(env, f"{_VARIABLE}TOKEN"),
        env.get(f"{_VARIABLE}CA_BUNDLE", ""),
    )


def _user_below(levels: Sequence[ServerAccount]) -> str:
    user = next((level.user for level in levels if level.user), "")
    if not user:
        said = "There is a password, and no user to sign in with"
        raise UsageError(said, where=levels[0].name, hint=_ACCOUNT_HINT)
    return user


def _secret_variable(env: Mapping[str, str], name: str) -> str:
    value, file = env.get(name, ""), env.get(f"{name}_FILE", "")
    if value and file:
        raise UsageError(f"Both {name} and {name}_FILE are set", hint="Set one of them")
    return value or (read_secret(file) if file else "")


def credentials_from(
    user: str | None = None,
    password_file: str | Path | None = None,
    token_file: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Credentials:
    """Find the account that these arguments or the environment name; the arguments win.

    Raises:
        UsageError: there is no account, or a file cannot be read.
    """
    given = of_files("the arguments", user=user, password_file=password_file, token_file=token_file)
    return find_credentials([given, of_environment(environ)])
