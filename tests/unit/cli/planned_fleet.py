"""The inventory that plan, apply and reconcile are tested with, and how they are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kraken_fleet.api import KrakenClient

INVENTORY = """
kraken_agents:
  hosts:
    build-1: {kraken_agent_address: 127.0.0.21}
    build-2: {kraken_agent_address: 127.0.0.22}
    far: {kraken_agent_address: 127.0.0.99}
kraken_group_linux:
  hosts: {build-1: {}, build-2: {}}
"""
# Runs a command; returns its exit code, and what it wrote to standard output and to standard error.
Run = Callable[..., tuple[int, str, str]]
# Runs a command with --json; returns its data.
Ask = Callable[..., Any]


def addresses(client: KrakenClient) -> set[str]:
    return {agent.address for agent in client.agents() if agent.address.startswith("127.")}
