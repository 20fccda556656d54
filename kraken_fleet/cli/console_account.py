"""Who may use a console besides administrators who sign in: the options for it, the same for `console` and `serve`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kraken_fleet.api import Credentials, find_credentials, of_files
from kraken_fleet.cli.connection import levels_of
from kraken_fleet.cli.options import option, with_options
from kraken_fleet.errors import UsageError
from kraken_fleet.inventory import Inventory

if TYPE_CHECKING:
    from kraken_fleet.web import ProxySignOn

_PANEL = "Who may use the console"
_NEEDS = "Needs an account of the console's own."
_VIEWERS = typer.Option(
    "--viewers",
    help=f"People who are no administrators of the server may look, and change nothing. {_NEEDS}",
    rich_help_panel=_PANEL,
)
_HEADER = typer.Option(
    "--proxy-user-header",
    help="The header in which the proxies of --proxy say who somebody is. They have to replace what a browser sends in "
    f"it. {_NEEDS}",
    metavar="NAME",
    rich_help_panel=_PANEL,
)


def with_access(*, several: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that say who may use its console; it gets them as `access`.

    Args:
        several: whether the console may have several servers, with an account on each.
    """

    def files(name: str, help_text: str, metavar: str) -> Any:
        one, more = (f"[NAME=]{metavar}", f" NAME={metavar} for each of several servers.") if several else (metavar, "")
        return Annotated[
            list[str] | None, typer.Option(name, help=help_text + more, metavar=one, rich_help_panel=_PANEL)
        ]

    options = [
        option("viewers", Annotated[bool, _VIEWERS], False),
        option("proxy_user_header", Annotated[str | None, _HEADER]),
        option("user", files("--user", "The console's own account, an administrator's of the server.", "USER")),
        option("password_file", files("--password-file", "A file with its password on the first line.", "FILE")),
        option("token_file", files("--token-file", "A file with a session token on the first line.", "FILE")),
    ]
    return lambda command: with_options(command, "access", options, lambda **given: nullcontext(_access(**given)))


def _access(
    viewers: bool,
    proxy_user_header: str | None,
    user: list[str] | None,
    password_file: list[str] | None,
    token_file: list[str] | None,
) -> GivenAccess:
    accounts = GivenAccounts(user or [], password_file or [], token_file or [])
    return GivenAccess(viewers, proxy_user_header or "", accounts)


@dataclass(frozen=True, slots=True)
class GivenAccess:
    """What the command line says of those who may use a console."""

    viewers: bool
    proxy_user_header: str
    accounts: GivenAccounts

    @property
    def needs_account(self) -> bool:
        """Whether the console uses an account of its own."""
        return self.viewers or bool(self.proxy_user_header)

    def sign_on(self, proxies: Sequence[str]) -> ProxySignOn | None:
        """Return which header of these proxies names people; None when none does.

        Raises:
            UsageError: there is no proxy, or that is no header for it.
        """
        # Imported here: the web framework takes long to import, and `--help` needs none of it.
        from kraken_fleet.web import ProxySignOn

        return ProxySignOn(self.proxy_user_header, tuple(proxies)) if self.proxy_user_header else None


@dataclass(frozen=True, slots=True)
class GivenAccounts:
    """What the command line says of accounts."""

    users: Sequence[str]
    password_files: Sequence[str]
    token_files: Sequence[str]

    def by_server(
        self, names: Sequence[str], inventory: Inventory | None, *, needed: bool
    ) -> Mapping[str, Credentials]:
        """Return the account on each server by the server's name; "" is the name of an only one.

        Args:
            names: of the servers, when there are several.
            inventory: may name the account of an only server, as may the environment and a file.
            needed: whether the console uses an account of its own.

        Raises:
            UsageError: an account is missing or of no use, or a file cannot be read.
        """
        if not needed:
            self._refuse()
            return {}
        if not names:
            return {"": find_credentials(levels_of(inventory, **self._files(names, "")))}
        # The account of one server goes to no other, so what names no server, such as the environment, is not used.
        return {name: find_credentials([of_files(f"--server {name}", **self._files(names, name))]) for name in names}

    def of_this_server(self, *, needed: bool) -> Credentials | None:
        """Return the account of a console on the server that is started with it; arguments and errors as by_server.

        The environment and files name an account of some server, which need not be this one.
        """
        if not needed:
            self._refuse()
            return None
        return find_credentials([of_files("the command line", **self._files([], ""))])

    def _refuse(self) -> None:
        if self.users or self.password_files or self.token_files:
            hint = "Leave them out: people sign in with their own accounts"
            raise UsageError(
                "--user, --password-file and --token-file need --viewers or --proxy-user-header", hint=hint
            )

    def _files(self, names: Sequence[str], name: str) -> dict[str, str | None]:
        return {
            "user": _of(self.users, "--user", names, name),
            "password_file": _of(self.password_files, "--password-file", names, name),
            "token_file": _of(self.token_files, "--token-file", names, name),
        }


def _of(texts: Sequence[str], option: str, names: Sequence[str], name: str) -> str | None:
    """Return what is said of one server.

    Raises:
        UsageError: nothing says of which server it is, or there are two for one.
    """
    found = []
    for text in texts:
        server, equals, value = text.partition("=") if names else ("", "=", text)
        if not equals or (names and server not in names):
            hint = f"Give {option} {names[0]}=..., with the name of a server"
            raise UsageError(f"{text!r} does not say for which server it is", where=option, hint=hint)
        if server == name:
            found.append(value)
    if len(found) > 1:
        raise UsageError("It is given twice for one server", where=option, hint="Give it once")
    return next(iter(found), None)
