"""A Kraken server with the console on it, agents to look at, and Chromium to look with."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.bundle import build
from kraken_fleet.model import Job
from kraken_fleet.server.testing import running
from kraken_fleet.web import ConsoleSettings
from tests.console_server import serving
from tests.real_server.fixtures import RealServer
from tests.stages import shell_job, stage_code
from tests.unique_names import unique_name

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
# Without its sandbox, since Chromium starts as root in no other way.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Kraken:
    """A server, its console, and a hand that starts and stops agents."""

    url: str
    log_addr: str
    console: str
    user: str
    password: str = field(repr=False)
    folder: Path
    kkagent: Path
    client: KrakenClient
    agents: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    # A loopback network of its own: on a server that is shared, an address that others use would be their agent.
    network: str = field(default_factory=lambda: f"127.{random.randint(2, 250)}.{random.randint(1, 250)}")  # noqa: S311

    def announce(self, address: str) -> str:
        """Speaks once to the server as an agent of this address."""
        requests.post(f"{self.url}/backend", json={"address": address, "msg": "get-job"}, timeout=60)
        return address

    def start_agent(self) -> str:
        """Starts a real agent on a loopback address of its own; gives the address."""
        address = f"{self.network}.{len(list(self.folder.glob('127.*'))) + 1}"
        data = self.folder / address
        data.mkdir()
        environment = os.environ | {
            "KRAKEN_AGENT_ADDRESS": address,
        }
        if self.log_addr:
            environment["KRAKEN_CLICKHOUSE_ADDR"] = self.log_addr
        command = [sys.executable, str(self.kkagent), "run", "-s", self.url, "-d", str(data), "--no-update"]
        with (data / "output").open("wb") as output:
            self.agents[address] = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        return address

    def stop_agent(self, address: str) -> None:
        process = self.agents.pop(address)
        process.terminate()
        process.wait(20)

    def start_job(self, group: str, command: str) -> Job:
        """Runs one shell command on a group; gives the job as soon as it is there."""
        name = unique_name("browser")
        project = self.client.create_project(name)
        branch = self.client.create_branch(project.id, "main")
        self.client.create_stage(branch.id, "one", stage_code(shell_job(group, command, name="browser")))
        flow = self.client.start_flow(branch.id)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for run in self.client.flow_runs(flow.id):
                if jobs := self.client.run_jobs(run.id):
                    return jobs[0]
            time.sleep(0.1)
        raise AssertionError("the job never came into being")


@contextmanager
def looked_at(url: str, user: str, password: str, log_addr: str, folder: Path) -> Iterator[Kraken]:
    """A server with a console over it; ends the agents that were started."""
    kkagent = next(bundle.path for bundle in build(folder / "bundle") if bundle.name == "kkagent")
    settings = ConsoleSettings(server_url=url, state_dir=folder / "console", poll_seconds=0.5)
    with serving(settings) as console, KrakenClient(url, PasswordCredentials(user, password)) as client:
        made = Kraken(url, log_addr, console, user, password, folder, kkagent, client)
        yield made
        for address in list(made.agents):
            made.stop_agent(address)


@pytest.fixture(scope="module")
def kraken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kraken]:
    folder = tmp_path_factory.mktemp("browser")
    with (
        running(folder / "server") as server,
        looked_at(server.url, server.user, server.password, server.log_addr, folder) as made,
    ):
        yield made


@pytest.fixture
def real_kraken(real_server: RealServer, tmp_path: Path) -> Iterator[Kraken]:
    """The unmodified Kraken server, with the log address that it hands out itself."""
    with looked_at(real_server.url, real_server.user, real_server.password, "", tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


def chromium(playwright: Playwright) -> Browser:
    """The system's Chromium; it ends with its Playwright, of which a process can have one."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = chromium(playwright)
    yield browser
    browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture
def second_page(browser: Browser) -> Iterator[Page]:
    """Another person's browser: nothing is shared with the first."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture
def plain_page(browser: Browser) -> Iterator[Page]:
    """A browser without JavaScript."""
    context = browser.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def sign_in(page: Page, kraken: Kraken, user: str = "", password: str = "") -> None:
    page.goto(f"{kraken.console}/sign-in")
    page.get_by_label("User").fill(user or kraken.user)
    page.get_by_label("Password").fill(password or kraken.password)
    page.get_by_role("button", name="Sign in").click()
