"""Which Kraken server an inventory names, and the account there: the variables that a deploy signs in with."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory.asking import debug, messages
from kraken_fleet.model import ServerAccount

_PLACE = "the inventory"
_PREFIX = "kraken_server_"
_PARTS = ("url", "user", "password", "token", "ca_bundle")
_VAULT_HINT = "Give --vault-password-file, --vault-id or --ask-vault-pass, or the account by another way"


def read_server(command: Sequence[str], hostvars: Mapping[str, Mapping[str, object]]) -> ServerAccount:
    """Read the server that all these hosts name.

    Costs nothing when the variables are plain text; else one `ansible` run, which connects to nobody.

    Args:
        command: `ansible` with the options that name the inventory.
        hostvars: the variables of each host, as ansible-inventory shows them.

    Raises:
        InventoryError: hosts name different servers or accounts, or a template cannot be filled in.
    """
    # Most hosts have the same values from one group, and an `ansible` run takes a second: one for each kind of host.
    kinds: dict[str, str] = {}
    for host, variables in hostvars.items():
        kinds.setdefault(json.dumps(_own(variables), sort_keys=True), host)
    found = {host: _filled(command, host, json.loads(kind)) for kind, host in kinds.items()}
    (first, wanted), *others = found.items() or {"": ServerAccount(_PLACE)}.items()
    for host, other in others:
        _refuse_difference(first, wanted, host, other)
    return wanted


def _own(variables: Mapping[str, object]) -> dict[str, object]:
    return {part: value for part in _PARTS if (value := variables.get(_PREFIX + part)) not in (None, "")}


def _filled(command: Sequence[str], host: str, own: Mapping[str, object]) -> ServerAccount:
    if all(isinstance(value, str) and "{{" not in value and "{%" not in value for value in own.values()):
        return _server({part: str(value).strip() for part, value in own.items()})
    try:
        return _server(_asked(command, host, own))
    except InventoryError as error:
        if not _is_locked(error):
            raise
    # Without the vault's password the rest can still be read: the account may come from another place.
    plain = [part for part in own if part in ("url", "user", "ca_bundle")]
    return _server(_asked(command, host, plain), locked=_locked(host))


def _server(parts: Mapping[str, str], *, locked: InventoryError | None = None) -> ServerAccount:
    url, user, password, token, ca_bundle = (parts.get(part, "") for part in _PARTS)
    return ServerAccount(_PLACE, url, user, password, token, ca_bundle, locked)


def _asked(command: Sequence[str], host: str, parts: Sequence[str] | Mapping[str, object]) -> dict[str, str]:
    """Let Ansible itself fill in templates and open vaults."""
    wanted = ", ".join(f"'{part}': {_PREFIX}{part}" for part in parts)
    done = debug([*command, host], "{{ {" + wanted + "} | to_json | b64encode }}")
    for _, state, message in messages(done.stdout):
        if state == "SUCCESS":
            filled = json.loads(base64.b64decode(message))
            # Editors end a file with a line end, and so does what is encrypted with `ansible-vault encrypt_string`.
            return {part: str(value).strip() for part, value in filled.items()}
        raise InventoryError(f"The server's account cannot be read: {message}", host=host, variable=f"{_PREFIX}url")
    said = " ".join(done.stderr.split())[:500]
    raise InventoryError(f"The server's account cannot be read: {said}", host=host, variable=f"{_PREFIX}url")


def _is_locked(error: InventoryError) -> bool:
    text = error.message.lower()
    return "vault" in text and ("decrypt" in text or "no vault secrets" in text)


def _locked(host: str) -> InventoryError:
    message = "The account of the server is encrypted, and no password of the vault was given"
    return InventoryError(message, host=host, variable=f"{_PREFIX}password", hint=_VAULT_HINT)


def _refuse_difference(first: str, wanted: ServerAccount, host: str, other: ServerAccount) -> None:
    for part in _PARTS:
        if getattr(wanted, part) != getattr(other, part):
            raise InventoryError(
                f"Hosts {first} and {host} have different values, and one command talks to one server",
                host=host,
                variable=f"{_PREFIX}{part}",
                hint="Choose hosts of one server with --limit, or give the inventory of each server by itself",
            )
