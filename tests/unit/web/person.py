"""Somebody who uses the console, and the settings of the console that they use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import requests

from kraken_fleet.inventory import Inventory
from kraken_fleet.server.testing import RunningServer
from kraken_fleet.web import ConsoleSettings

INVENTORY = """
kraken_agents:
  hosts:
    build-1: {kraken_agent_address: 10.0.0.21}
    build-2: {kraken_agent_address: 10.0.0.22}
kraken_group_linux:
  hosts: {build-1: {}, build-2: {}}
"""


@dataclass
class Person:
    """Somebody with a browser that shows no pictures."""

    console: str
    http: requests.Session
    csrf: str = ""

    def get(self, path: str) -> str:
        answer = self.http.get(self.console + path, timeout=60)
        assert answer.status_code == 200, answer.text
        if found := re.search(r'name="csrf" value="([^"]+)"', answer.text):
            self.csrf = found[1]
        return answer.text

    def post(self, path: str, **fields: object) -> requests.Response:
        return self.http.post(self.console + path, data={"csrf": self.csrf, **fields}, timeout=60)


def settings_for(
    server: RunningServer, folder: Path, *, read_only: bool = False, poll_seconds: float = 0
) -> ConsoleSettings:
    inventory = folder / "hosts.yml"
    inventory.write_text(INVENTORY)
    return ConsoleSettings(
        server.url, folder / "state", inventory=Inventory([inventory]), read_only=read_only, poll_seconds=poll_seconds
    )


def signed_in(console: str, server: RunningServer, user: str = "", password: str = "") -> Person:
    """Somebody who has signed in: the administrator, unless another account is named."""
    person = Person(console, requests.Session())
    credentials = {"user": user or server.user, "password": password or server.password}
    answer = person.http.post(f"{console}/sign-in", data=credentials, timeout=60)
    assert answer.url.endswith("/agents")
    person.get("/agents")
    return person
