"""The options that name an inventory, as Ansible's own programs have them."""

from __future__ import annotations

import functools
import inspect
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from kraken_fleet.cli import config_file
from kraken_fleet.cli.options import option, with_options
from kraken_fleet.errors import UsageError
from kraken_fleet.inventory import Inventory

_PANEL = "Inventory"


def _option(*names: str, help_text: str, metavar: str) -> Any:
    return typer.Option(*names, help=help_text, metavar=metavar, rich_help_panel=_PANEL)


_SOURCE_HELP = "An inventory, as ansible-playbook takes it. May be given more than once. [kraken-fleet.toml]"
Sources = Annotated[list[Path] | None, _option("--inventory", "-i", help_text=_SOURCE_HELP, metavar="PATH")]
OptionalSources = Annotated[
    list[Path] | None,
    _option("--inventory", "-i", help_text="An inventory that names the server and the account there.", metavar="PATH"),
]
Limit = Annotated[
    str | None,
    _option("--limit", "-l", help_text="Only these hosts, as ansible-playbook's --limit.", metavar="PATTERN"),
]
PlaybookDir = Annotated[
    Path | None,
    _option(
        "--playbook-dir",
        help_text="The directory of your own playbook, for group_vars and host_vars beside it. "
        "Without it: as a deploy with a playbook of kraken_ci.fleet sees the inventory.",
        metavar="DIRECTORY",
    ),
]
_VAULTS: Mapping[str, Any] = {
    "vault_password_file": Annotated[
        list[Path] | None,
        _option("--vault-password-file", help_text="A file with the password of a vault.", metavar="FILE"),
    ],
    "vault_id": Annotated[
        list[str] | None, _option("--vault-id", help_text="A vault, as Ansible names it: LABEL@SOURCE.", metavar="ID")
    ],
    "ask_vault_pass": Annotated[
        bool | None,
        typer.Option("--ask-vault-pass", "-J", help="Ask for the vault's password.", rich_help_panel=_PANEL),
    ],
    "extra_vars": Annotated[
        list[str] | None,
        _option("--extra-vars", "-e", help_text="Variables, as ansible-playbook takes them.", metavar="VARIABLES"),
    ],
}


def with_inventory(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the inventory; its parameter `inventory` gets an Inventory, or None without one."""
    wanted = inspect.signature(command, eval_str=True).parameters["inventory"]
    make = functools.partial(given_inventory, required=is_required(wanted))
    return with_options(command, "inventory", inventory_options(wanted), make)


def inventory_options(wanted: inspect.Parameter | None) -> list[inspect.Parameter]:
    """Say which of the options a command has.

    Args:
        wanted: the command's parameter for the inventory; without one the inventory only names the server.
    """
    vaults = [option(name, annotation) for name, annotation in _VAULTS.items()]
    if wanted is None:
        return [option("sources", OptionalSources), *vaults]
    return [option("sources", Sources), option("limit", Limit), option("playbook_dir", PlaybookDir), *vaults]


def is_required(wanted: inspect.Parameter | None) -> bool:
    """Say whether a command can do nothing without an inventory, by its parameter for it."""
    return wanted is not None and wanted.default is inspect.Parameter.empty


@contextmanager
def given_inventory(
    sources: Sequence[Path] | None = None,
    limit: str | None = None,
    playbook_dir: Path | None = None,
    vault_password_file: Sequence[Path] | None = None,
    vault_id: Sequence[str] | None = None,
    ask_vault_pass: bool | None = None,
    extra_vars: Sequence[str] | None = None,
    *,
    required: bool = False,
) -> Iterator[Inventory | None]:
    """Make the inventory that the options name, else the one of `kraken-fleet.toml`; None when none is named.

    Several programs of Ansible's read it. So a password that a person types is asked for once, and lies in a file that
    only this account can read until the end of the block.

    Args:
        required: whether there has to be one.

    Raises:
        UsageError: there are options for an inventory and there is no inventory.
        InventoryError: there is no such file or directory.
    """
    arguments = [f"--vault-password-file={path}" for path in vault_password_file or ()]
    arguments += [f"--vault-id={one}" for one in vault_id or ()]
    arguments += [part for text in extra_vars or () for part in ("-e", text)]
    found = sources or [path for path in [config_file.inventory()] if path]
    if not found:
        if required:
            hint = f'Give it with -i, or name it in {config_file.NAME}: inventory = "hosts.yml"'
            raise UsageError("No inventory is named", hint=hint)
        if arguments or ask_vault_pass or limit:
            raise UsageError("There are options for an inventory, and no inventory", hint="Give it with -i")
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="kraken-fleet-") as folder:
        if ask_vault_pass:
            arguments.append(f"--vault-password-file={_asked_for(Path(folder, 'vault-password'))}")
        yield Inventory(found, limit, playbook_dir=playbook_dir, arguments=arguments)


def _asked_for(path: Path) -> Path:
    password = typer.prompt("Vault password", hide_input=True, err=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(password + "\n")
    return path
