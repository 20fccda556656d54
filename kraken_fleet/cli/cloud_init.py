"""`kraken-fleet cloud-init`: user data that makes a new machine of a cloud an agent, without SSH."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from kraken_fleet.address import ServerAddress
from kraken_fleet.api import KrakenClient
from kraken_fleet.bundle import OUR_AGENT, UserData
from kraken_fleet.cli import output
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.connection import connected
from kraken_fleet.collection import role_variables, settings_place, settings_table
from kraken_fleet.errors import ServerFaultError, UsageError
from kraken_fleet.inventory import Inventory
from kraken_fleet.model import DesiredAgent
from kraken_fleet.plan import MadeNonce
from kraken_fleet.reconcile import NonceMemory
from kraken_fleet.state import state_dir

app = single_command()

_NONCE_BYTES = 32
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MORE_LINES = re.compile(r"[\n\r\0]")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
# What says where the agent comes from; it is no setting of the agent.
_RELEASE = ("kraken_agent_source", "kraken_agent_bundle_url", "kraken_agent_bundle_sha256")
_ELSEWHERE = (
    "Put the kkagent of `kraken-fleet bundle build` onto a web server, and set kraken_agent_bundle_url and "
    "kraken_agent_bundle_sha256; or deploy with deploy_agents"
)


@app.command("cloud-init")
@connected
def cloud_init(
    client: KrakenClient,
    inventory: Inventory,
    host: Annotated[str, typer.Argument(help="The host, by its name in the inventory.")],
    hours: Annotated[
        float,
        typer.Option(
            "--valid-hours", help="For how many hours the secret in the user data is valid.", min=0.01, max=720
        ),
    ] = 24.0,
) -> None:
    """Print user data for a machine that is to be this host: a script that cloud-init runs at its first start.

    It holds a secret by which `apply` and `reconcile` recognize the machine, once. Keep it like a password.
    """
    agent = _agent(inventory, host)
    values = inventory.variables(host, [*_RELEASE, *(setting.variable for setting in settings_table().SETTINGS)])
    url, sha256 = _agent_file(client, values)
    until = datetime.now(UTC) + timedelta(hours=hours)
    nonce = secrets.token_hex(_NONCE_BYTES)
    data = UserData(host, url, sha256, _variables(client, values, agent), nonce, f"{until:%Y-%m-%d %H:%M} UTC")
    # The digest is enough to recognize the secret: whoever reads the state directory does not learn it.
    digest = hashlib.sha256(nonce.encode()).hexdigest()
    NonceMemory(state_dir(), client.url).add(MadeNonce(host, agent.address, digest, until))
    for line in data.script().splitlines():
        output.line(line)


def _agent(inventory: Inventory, host: str) -> DesiredAgent:
    agents = [agent for agent in inventory.fleet().agents if agent.host == host]
    if not agents:
        raise UsageError(f"The inventory has no agent {host}", hint="Name a host of the group kraken_agents")
    if len(agents) > 1:
        raise UsageError(f"{host} has {len(agents)} agents", hint="User data is for hosts with one agent")
    return agents[0]


def _variables(client: KrakenClient, values: Mapping[str, Any], agent: DesiredAgent) -> dict[str, str]:
    """Return the variables of kraken.env.

    Raises:
        UsageError: something is set that the script cannot bring.
    """
    table = settings_table()
    defaults = {name: option.get("default") for name, option in role_variables()["kraken_agent"].items()}
    place = settings_place(method=table.BINARIES)
    server = values.get("kraken_agent_server_url") or client.url
    told = {**values, "kraken_agent_server_url": ServerAddress.parse(str(server)).agents}
    told["kraken_agent_address"] = agent.address
    found: dict[str, str] = {}
    for setting in table.SETTINGS:
        value = told.get(setting.variable)
        if not setting.is_set(value, defaults.get(setting.variable)) or setting.variable in _NOT_NEEDED:
            continue
        if not setting.name or setting.variable in _WITH_FILES or table.BINARIES not in setting.methods:
            raise UsageError(
                f"{setting.variable} is set, and user data cannot bring it",
                where=agent.host,
                hint="Take it out for this host, or deploy it with deploy_agents",
            )
        found[setting.name] = setting.text(value, place)
    if found.get("KRAKEN_AGENT_ONE_JOB") == "yes" and found.get("KRAKEN_AGENT_UPDATE") == "server":
        raise UsageError(
            "kraken_agent_one_job is set, and an agent that updates itself can change its files",
            where=agent.host,
            hint="Set kraken_agent_update to managed",
        )
    given = values.get("kraken_agent_environment") or {}
    found |= {str(name): str(value) for name, value in given.items() if value not in (None, "")}
    for name, value in found.items():
        # kraken.env has a line for each, here as after a deploy.
        if not _NAME.fullmatch(name) or _MORE_LINES.search(value):
            raise UsageError(
                f"{name!r} is not a variable that one line can hold",
                where=f"kraken_agent_environment of {agent.host}",
                hint="Name it with letters, digits and _, and write its value in one line",
            )
    return found


# The secret is the script's own; the environment is added to the rest.
_NOT_NEEDED = ("kraken_registration_trust", "kraken_agent_fresh_nonce", "kraken_agent_environment")
# These are more than a variable: a directory, a file, the unit.
_WITH_FILES = ("kraken_agent_dir", "kraken_agent_ca_bundle")


def _agent_file(client: KrakenClient, values: Mapping[str, Any]) -> tuple[str, str]:
    """Return where the machine gets the agent from, and the sum of that file: as a deploy does, but not by SSH.

    Raises:
        UsageError: that is no agent of kraken-fleet, or it is not said what the file must be.
        ServerFaultError: the server serves no agent.
    """
    url = str(values.get("kraken_agent_bundle_url") or "")
    if url and values.get("kraken_agent_source") != "server":
        return f"{url.rstrip('/')}/kkagent", _expected_sum(values.get("kraken_agent_bundle_sha256"))
    try:
        content = client.install_file("agent")
    except ServerFaultError as error:
        raise ServerFaultError(error.message, where=error.where, hint=_ELSEWHERE) from error
    if OUR_AGENT not in content:
        raise UsageError(
            "The server serves Kraken's own agent, which can report no secret", where=client.url, hint=_ELSEWHERE
        )
    server = str(values.get("kraken_agent_server_url") or client.url)
    return f"{ServerAddress.parse(server).install}/agent", hashlib.sha256(content).hexdigest()


def _expected_sum(sums: object) -> str:
    expected = str(sums.get("kkagent") or "") if isinstance(sums, Mapping) else ""
    if not _SHA256.fullmatch(expected):
        raise UsageError(
            "The SHA-256 sum of the agent at kraken_agent_bundle_url is missing",
            where="kraken_agent_bundle_sha256",
            hint="Set kraken_agent_bundle_sha256 to {kkagent: SUM}, with the 64 digits that sha256sum prints",
        )
    return expected.lower()
