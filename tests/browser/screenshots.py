"""Takes the pictures of the README: `make screenshots`. A server with a fleet on it, and Chromium."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import requests
from playwright.sync_api import sync_playwright

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.inventory import Inventory
from kraken_fleet.server.testing import RunningServer, running
from kraken_fleet.web import ConsoleSettings
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.console_server import serving

SYSTEMS = ("debian-12", "debian-13", "ubuntu-24.04", "rocky-9")
GROUPS = ("build", "gpu", "test")
INVENTORY = "kraken_agents:\n  hosts:\n" + "".join(
    f"    host-{n}: {{kraken_agent_address: 10.20.{n // 16}.{n % 16 + 10}, kraken_agent_groups: [{GROUPS[n % 3]}]}}\n"
    for n in range(40)
)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(running(scratch / "server"))
        (scratch / "hosts.yml").write_text(INVENTORY)
        _populate(server)
        settings = ConsoleSettings(server.url, scratch / "console", inventory=Inventory([scratch / "hosts.yml"]))
        console = stack.enter_context(serving(settings))
        browser = stack.enter_context(sync_playwright()).chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
            page = context.new_page()
            page.goto(f"{console}/sign-in")
            page.screenshot(path=folder / f"sign-in-{scheme}.png")
            page.get_by_label("User").fill(server.user)
            page.get_by_label("Password").fill(server.password)
            page.get_by_role("button", name="Sign in").click()
            for name in ("agents", "agents/2", "groups", "discovered", "fleet", "downloads"):
                page.goto(f"{console}/{name}")
                page.screenshot(path=folder / f"{name.replace('agents/2', 'agent')}-{scheme}.png")
        browser.close()


def _populate(server: RunningServer) -> None:
    """Forty agents let in into three groups, and four that ask."""
    addresses = [f"10.20.{n // 16}.{n % 16 + 10}" for n in range(44)]
    for address in addresses:
        _say(server, address, "get-job")
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        groups = {name: client.create_group(name).id for name in GROUPS}
        everybody = next(group.id for group in client.groups() if group.name == "all")
        discovered = {agent.address: agent.id for agent in client.agents(unauthorized=True)}
        client.set_authorized([discovered[address] for address in addresses[:38]])
        for number, address in enumerate(addresses[:36]):
            client.set_agent_groups(discovered[address], [everybody, groups[GROUPS[number % 3]]])
            _say(server, address, "host-info", number)
        client.disable_agent(discovered[addresses[5]])


def _say(server: RunningServer, address: str, message: str, number: int = 0) -> None:
    info: dict[str, str] = {"system": SYSTEMS[number % 4], "system_type": "linux", "isolation": "bare-metal"}
    if number % 2:
        info["docker"] = "27.5.1"
    requests.post(f"{server.url}/backend", json={"address": address, "msg": message, "info": info}, timeout=5)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
