"""How git gets at a private repository without a secret in arguments, in URLs, in `.git/config` or left on the disk.

A token is answered by a GIT_ASKPASS program; a key is a file that only this user can read. Both live in a directory
that is gone when the tool has ended.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, Mapping, Optional, Tuple, Type
from urllib.parse import unquote, urlsplit, urlunsplit

from kraken_agent.tools.masking import MASK, Masker, secrets_of
from kraken_agent.tools.paths import temporary_directory

_SCP_LIKE = re.compile(r"^(?:(?P<user>[^@/:]+)@)?(?P<host>[^/:]+):(?P<path>(?!//).+)$")

# The services want some user name beside a token; any other service takes any name.
_TOKEN_USERS = (("gitlab", "oauth2"), ("bitbucket", "x-token-auth"))
_USUAL_TOKEN_USER = "x-access-token"  # noqa: S105 - a user name, not a token

_ASKPASS = """#!/bin/sh
case "$1" in
Username*) printf '%s\\n' "$KRAKEN_GIT_USER" ;;
*) cat "$KRAKEN_GIT_TOKEN_FILE" ;;
esac
"""


class GitAccess:
    """Credentials and settings of one step, for as long as the `with` block lasts.

    Args:
        url: as the step has it.
        step: may have `access-token` (text), `ssh-key` (`username`, `key`) and `git_cfg` (names and values).
    """

    def __init__(self, url: str, step: Mapping[str, Any]) -> None:
        self._masker = Masker(secrets_of(step))
        self._token = str(step.get("access-token") or "") or token_in_url(url, self._masker)
        self._key = step.get("ssh-key") or {}
        self._settings = {str(name): str(value) for name, value in (step.get("git_cfg") or {}).items()}
        self._directory: Optional[Path] = None
        self.url, self._user = web_url(url) if self._token and not self._key else (url, "")

    def __enter__(self) -> "GitAccess":
        self._directory = temporary_directory("git")
        self._write("config", "".join(_config_text(name, self._settings[name]) for name in self.secret_setting_names()))
        if self._key:
            # OpenSSH reads no key with the line ends of Windows, or without one at its end.
            text = str(self._key.get("key", "")).replace("\r\n", "\n").strip() + "\n"
            self._write("key", text)
        elif self._token:
            self._write("token", self._token + "\n")
            # Git runs this program to ask for user and password, so neither is in an argument or a URL.
            self._write("askpass", _ASKPASS, mode=0o700)
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        shutil.rmtree(self._path, ignore_errors=True)

    def environment(self) -> Dict[str, str]:
        """Return the environment of every git command: never asks a person, and knows where the secrets are."""
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        if self._key:
            environment["GIT_SSH_COMMAND"] = self._ssh_command(os.environ.get("GIT_SSH_COMMAND", "ssh"))
        elif self._token:
            environment["GIT_ASKPASS"] = str(self._path / "askpass")
            environment["KRAKEN_GIT_USER"] = self._user
            environment["KRAKEN_GIT_TOKEN_FILE"] = str(self._path / "token")
        return environment

    def options(self) -> List[str]:
        """Options of every git command: no helper may keep a token, and settings with secrets come from a file."""
        return ["-c", "credential.helper=", "-c", f"include.path={self._path / 'config'}"]

    def public_settings(self) -> List[str]:
        """Options of `git clone` for the settings without a secret, which the new repository keeps."""
        secret = self.secret_setting_names()
        public = (f"{name}={value}" for name, value in self._settings.items() if name not in secret)
        return [word for setting in public for word in ("-c", setting)]

    def secret_setting_names(self) -> List[str]:
        """Return the names of settings that have one of the step's secrets in their value."""
        return [name for name, value in self._settings.items() if self._masker.mask_text(value) != value]

    @property
    def _path(self) -> Path:
        if self._directory is None:
            raise RuntimeError("GitAccess is used outside of its with block")
        return self._directory

    def _ssh_command(self, ssh: str) -> str:
        words = [
            ssh,
            f"-i {self._path / 'key'}",
            # Else ssh offers keys of an ssh-agent first, and servers hang up after some that they do not know.
            "-o IdentitiesOnly=yes",
            "-o BatchMode=yes",
            # A host that is seen for the first time is trusted, one that has changed its key is not.
            "-o StrictHostKeyChecking=accept-new",
        ]
        user = str(self._key.get("username") or "")
        if re.fullmatch(r"[A-Za-z0-9._-]+", user) and not _names_a_user(self.url):
            words.append(f"-o User={user}")
        return " ".join(words)

    def _write(self, name: str, text: str, mode: int = 0o600) -> None:
        descriptor = os.open(self._path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def web_url(url: str) -> Tuple[str, str]:
    """Return the URL that a token works with, and the user name to give beside it.

    `git@host:path` and `ssh://git@host/path` become `https://host/path`. A user name in an http URL is kept as the name
    to give, and taken out of the URL together with a password, so that neither ends in `.git/config`.
    """
    match = _SCP_LIKE.match(url)
    if match and "://" not in url:
        host, path = match.group("host"), match.group("path").lstrip("/")
        return f"https://{host}/{path}", _token_user(host)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "ssh"):
        return url, _USUAL_TOKEN_USER
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port and parts.scheme != "ssh" else ""
    user = unquote(parts.username) if parts.username and parts.scheme != "ssh" else None
    scheme = "https" if parts.scheme == "ssh" else parts.scheme
    return urlunsplit((scheme, host + port, parts.path, parts.query, "")), user or _token_user(host)


def token_in_url(url: str, masker: Masker) -> str:
    """Return a token in the URL: its password, or a user name that is one of the project's secrets."""
    if "://" not in url:
        return ""
    parts = urlsplit(url)
    if parts.password:
        return unquote(parts.password)
    name = unquote(parts.username or "")
    return name if masker.mask_text(name) == MASK.decode() else ""


def _token_user(host: str) -> str:
    return next((user for part, user in _TOKEN_USERS if part in host), _USUAL_TOKEN_USER)


def _names_a_user(url: str) -> bool:
    match = _SCP_LIKE.match(url)
    if match and "://" not in url:
        return match.group("user") is not None
    return urlsplit(url).username is not None


def _config_text(name: str, value: str) -> str:
    """Return one setting in the syntax of a git config file."""
    section, _, rest = name.partition(".")
    subsection, _, key = rest.rpartition(".")
    head = f'[{section} "{_quoted(subsection)}"]' if subsection else f"[{section}]"
    return f'{head}\n\t{key} = "{_quoted(value)}"\n'


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
