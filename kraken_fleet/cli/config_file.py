"""`kraken-fleet.toml`: the inventory, server and account that commands use when nothing else names them.

It is read from the current directory and from the user's configuration directory. It never holds a secret, only the
names of files that do.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

from platformdirs import user_config_path

from kraken_fleet.errors import UsageError

NAME = "kraken-fleet.toml"
_INVENTORY = "inventory"
_KEYS = ("server", "user", "password_file", "token_file", "ca_bundle", _INVENTORY)
_PATHS = ("password_file", "token_file", "ca_bundle", _INVENTORY)


def config_files() -> list[Path]:
    """Name the files that are there, the one that wins first."""
    # A file in the directory of a project wins over the user's own.
    places = (Path.cwd() / NAME, user_config_path("kraken-fleet") / NAME)
    return [path for path in dict.fromkeys(places) if path.is_file()]


def inventory() -> Path | None:
    """Return the inventory that the files name; None when they name none.

    Raises:
        UsageError: a file is wrong, see server_and_account.
    """
    named = (_read(path).get(_INVENTORY) for path in config_files())
    return next((Path(one) for one in named if one), None)


def server_and_account(path: Path) -> dict[str, str]:
    """Read from one file what says where the server is, and who the user is there.

    Raises:
        UsageError: it is not valid TOML, has an unknown key or a value that is not text, or others may change it.
    """
    return {key: value for key, value in _read(path).items() if key != _INVENTORY}


def _read(path: Path) -> dict[str, str]:
    """Read one file; a relative path in it begins where the file is.

    Raises:
        UsageError: it is not valid TOML, has an unknown key or a value that is not text, or others may change it.
    """
    _refuse_foreign(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "It is not text"
        raise UsageError(f"The configuration file cannot be read: {reason}", where=str(path)) from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The configuration file is not valid TOML: {error}", where=str(path)) from error
    for problem in _problems(content):
        raise UsageError(problem, where=str(path), hint=f"Known keys are {', '.join(_KEYS)}")
    return {key: _absolute(path, value) if key in _PATHS else value for key, value in content.items()}


def _absolute(path: Path, value: str) -> str:
    return str(path.parent / Path(value).expanduser())


def _problems(content: dict[str, object]) -> Iterator[str]:
    for key, value in content.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            yield f"There is no key {key!r}" + (f"; did you mean {near[0]}?" if near else "")
        elif not isinstance(value, str) or not value.strip():
            yield f"The value of {key} is not a text"


def _refuse_foreign(path: Path) -> None:
    """Refuse a file of somebody else: in a shared directory it could send the password to somebody else's server."""
    found = path.stat()
    # Whoever changes the file says to which server the password is sent.
    if found.st_uid not in (0, os.getuid()) or found.st_mode & 0o022:
        raise UsageError(
            "Others can change the configuration file, so it is not used",
            where=str(path),
            hint=f"Make it your own and not writable for others: chmod go-w {path}",
        )
