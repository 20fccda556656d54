"""`kraken-fleet cloud-init`: user data that makes a new machine of a cloud an agent, without SSH."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from kraken_fleet.address import ServerAddress
from kraken_fleet.api import KrakenClient
from kraken_fleet.bundle import UserData
from kraken_fleet.cli import output
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.connection import connected
from kraken_fleet.collection import role_variables, settings_place, settings_table
from kraken_fleet.errors import UsageError
from kraken_fleet.inventory import Inventory
from kraken_fleet.model import DesiredAgent
from kraken_fleet.plan import MadeNonce
from kraken_fleet.reconcile import NonceMemory
from kraken_fleet.state import state_dir

app = single_command()

# What every archive of this agent has, and Kraken's own agent has not.
_OURS = b"kraken_agent/hostinfo.py"
_NONCE_BYTES = 32


@app.command("cloud-init")
@connected
def cloud_init(
    client: KrakenClient,
    inventory: Inventory,
    host: Annotated[str, typer.Argument(help="The host, by its name in the inventory.")],
    hours: Annotated[
        float, typer.Option("--valid-hours", help="How long the secret in the user data counts.", min=0.01, max=720)
    ] = 24.0,
) -> None:
    """Print user data for a machine that is to be this host: a script that cloud-init runs at its first start.

    It holds a secret by which `apply` and `reconcile` recognize the machine, once. Keep it like a password.
    """
    agent = _agent(inventory, host)
    values = inventory.variables(host, [setting.variable for setting in settings_table().SETTINGS])
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
    given = values.get("kraken_agent_environment") or {}
    return {**found, **{str(name): str(value) for name, value in given.items() if value not in (None, "")}}


# The secret is the script's own; the environment is added to the rest.
_NOT_NEEDED = ("kraken_registration_trust", "kraken_agent_fresh_nonce", "kraken_agent_environment")
# These are more than a variable: a directory, a file, the unit.
_WITH_FILES = ("kraken_agent_dir", "kraken_agent_ca_bundle", "kraken_agent_one_job")


def _agent_file(client: KrakenClient, values: Mapping[str, Any]) -> tuple[str, str]:
    """Return where the machine gets the agent from, and the sum of that file.

    Raises:
        UsageError: the server does not serve kraken-fleet's own agent.
    """
    content = client.install_file("agent")
    if _OURS not in content:
        raise UsageError(
            "The server serves Kraken's own agent, which can report no secret",
            where=client.url,
            hint="Make user data against a server that serves kraken-fleet's agent, or deploy with deploy_agents",
        )
    server = str(values.get("kraken_agent_server_url") or client.url)
    return f"{ServerAddress.parse(server).install}/agent", hashlib.sha256(content).hexdigest()
