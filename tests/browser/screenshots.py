"""Takes pictures of every page of the console: `make screenshots`. A server with a fleet on it, and Chromium.

Beside the pictures it writes what each page consists of. A test makes that anew and compares it. It does not compare
pixels: fonts and Chromium draw them otherwise on another machine, and what the pages have is the same there.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import requests
from playwright.sync_api import Browser, Page, sync_playwright

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.inventory import Inventory
from kraken_fleet.model import Deploy, Deployment, Disabling, HostResult, TaskResult
from kraken_fleet.reconcile import disable
from kraken_fleet.server.testing import RunningServer, running
from kraken_fleet.state import save_deploy, state_dir
from kraken_fleet.web import ConsoleSettings, create_consoles
from tests.browser.conftest import chromium
from tests.browser.structure import structure
from tests.console_server import serving, serving_application
from tests.server_accounts import PASSWORD, administrator, new_account
from tests.stages import shell_job, stage_code

SYSTEMS = ("debian-12", "debian-13", "ubuntu-24.04", "rocky-9")
GROUPS = ("build", "gpu", "test")
# Pixels, and what is added to the names of the pictures.
WIDTHS = ((1400, ""), (390, "-phone"))
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
INVENTORY = "kraken_agents:\n  hosts:\n" + "".join(
    f"    host-{n}: {{kraken_agent_address: 10.20.{n // 16}.{n % 16 + 10}, kraken_agent_groups: [{GROUPS[n % 3]}]}}\n"
    for n in range(40)
)
INVENTORY += "  vars: {kraken_registration_groups: [{name: spot}]}\n"
# As somebody sees them who may only look.
VIEWED = ("agents", "agent", "groups", "discovered", "fleet", "downloads")


def main(
    browser: Browser, folder: Path, schemes: Sequence[Scheme] = SCHEMES, widths: Sequence[tuple[int, str]] = WIDTHS
) -> None:
    """Take all pictures, or those of some colours and widths."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["KRAKEN_FLEET_STATE_DIR"] = str(scratch / "state")
        server = stack.enter_context(running(scratch / "server"))
        (scratch / "hosts.yml").write_text(INVENTORY)
        job = _populate(server)
        _remember_the_past(scratch / "console")
        settings = ConsoleSettings(server.url, scratch / "console", inventory=Inventory([scratch / "hosts.yml"]))
        console = stack.enter_context(serving(settings))
        viewers = stack.enter_context(serving(replace(settings, account=administrator(server), viewers=True)))
        viewer = new_account(server, "vera")
        several = stack.enter_context(serving_application(create_consoles(_several(settings, scratch))))
        deploy = next(iter(sorted((state_dir() / "deploys").glob("*.json")))).stem
        pages = {name: name for name in ("agents", "groups", "discovered", "fleet", "downloads")}
        pages |= {"agent": "agents/2", "job": f"jobs/{job}", "deploy": f"deploys/{deploy}", "error": "agents/999999"}
        for scheme in schemes:
            for width, suffix in widths:
                _be_seen(server)
                context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
                page = context.new_page()
                page.set_default_timeout(120_000)
                page.goto(f"{console}/sign-in")
                page.screenshot(path=folder / f"sign-in{suffix}-{scheme}.png")
                _describe(page, folder / f"sign-in{suffix}-{scheme}.txt")
                _sign_in(page, server.user, server.password)
                for name, path in pages.items():
                    page.goto(f"{console}/{path}")
                    _take(page, folder / f"{name}{suffix}-{scheme}.png", width)
                page.goto(f"{viewers}/sign-in")
                _sign_in(page, viewer, PASSWORD)
                for name in VIEWED:
                    page.goto(f"{viewers}/{pages[name]}")
                    _take(page, folder / f"viewer-{name}{suffix}-{scheme}.png", width)
                page.goto(f"{several}/berlin/sign-in")
                _sign_in(page, server.user, server.password)
                page.goto(several)
                _take(page, folder / f"servers{suffix}-{scheme}.png", width)
                context.close()


def _several(settings: ConsoleSettings, scratch: Path) -> dict[str, ConsoleSettings]:
    servers = {"berlin": settings.server_url, "oslo": "http://kraken.oslo.example:6363"}
    return {
        name: replace(settings, name=name, server_url=url, state_dir=scratch / name) for name, url in servers.items()
    }


def _sign_in(page: Page, user: str, password: str) -> None:
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/agents")


def _take(page: Page, path: Path, width: int) -> None:
    found = page.evaluate("document.documentElement.scrollWidth")
    if found > width:
        print(f"{path.name} is {found} pixels wide", file=sys.stderr)
    height = min(page.evaluate("document.documentElement.scrollHeight"), 1600)
    page.screenshot(path=path, clip={"x": 0, "y": 0, "width": width, "height": height}, full_page=True)
    _describe(page, path.with_suffix(".txt"))


def _describe(page: Page, path: Path) -> None:
    """Write what the page consists of. It is the same in both colours, and on a telephone all of it is there too."""
    name, scheme = path.stem.rsplit("-", 1)
    if scheme == SCHEMES[0] and not name.endswith(WIDTHS[1][1]):
        path.with_name(f"{name}.txt").write_text(structure(page), encoding="utf-8")


def _populate(server: RunningServer) -> int:
    """Bring forty agents into three groups, four that ask, and jobs of which one runs; return that job's id."""
    addresses = [f"10.20.{n // 16}.{n % 16 + 10}" for n in range(44)]
    for address in addresses:
        _say(server, address, "get-job")
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        aws = {"region": "eu-central-1", "instance_type": "c7i.large", "instances_limit": 10, "init_script": "a secret"}
        client.set_deployment(client.create_group("spot").id, Deployment.of("aws", aws))
        groups = {name: client.create_group(name).id for name in GROUPS}
        everybody = next(group.id for group in client.groups() if group.name == "all")
        discovered = {agent.address: agent.id for agent in client.agents(unauthorized=True)}
        client.set_authorized([discovered[address] for address in addresses[:38]])
        for number, address in enumerate(addresses[:36]):
            client.set_agent_groups(discovered[address], [everybody, groups[GROUPS[number % 3]]])
            _say(server, address, "host-info", number)
        now = client.server_time()
        why = Disabling("anna", now - timedelta(minutes=20), now + timedelta(hours=2), "a new disk")
        list(disable(client, [agent for agent in client.agents() if agent.address == addresses[5]], why=why))
        branch = client.create_branch(client.create_project("demo").id, "main")
        client.create_stage(branch.id, "build", stage_code(shell_job("gpu", "make", name="compile")))
        for _ in range(3):
            client.start_flow(branch.id)
        return _running_job(server, client, addresses[1])


def _be_seen(server: RunningServer) -> None:
    """Let the agents speak once more: after a minute they would be silent."""
    for number in range(44):
        _say(server, f"10.20.{number // 16}.{number % 16 + 10}", "host-info", number)


def _running_job(server: RunningServer, client: KrakenClient, address: str) -> int:
    while True:
        _say(server, address, "get-job")
        if job := next((agent.job for agent in client.agents() if agent.job), None):
            return job.id
        time.sleep(0.2)


def _remember_the_past(console: Path) -> None:
    """Write a day of samples, and three runs of playbooks."""
    console.mkdir(parents=True)
    minute, drawn = int(time.time()) // 60 * 60, random.Random(7)  # noqa: S311 - pictures
    with (console / "history.jsonl").open("w") as file:
        for past in range(1439, 0, -10):
            busy = drawn.randint(4, 16)
            states = {"idle": 33 - busy, "busy": busy, "disabled": 1, "silent": drawn.randint(0, 2)}
            jobs = {"build": busy // 2, "gpu": busy - busy // 2}
            file.write(json.dumps({"minute": minute - past * 60, "states": states, "jobs": jobs}) + "\n")
    hosts = [f"host-{n}" for n in range(4)]
    good = {host: HostResult(ok=3, changed=1, changes=("install 0.2.0", "restart the service")) for host in hosts}
    bad = {"host-3": HostResult(ok=1, failed=1, message="Only 80 MB are free below /opt/kraken; 500 MB are needed")}
    tasks = (
        TaskResult("Check the inventory", 0.8, {hosts[0]: "ok"}),
        TaskResult("Bring the agent to the host", 11.4, dict.fromkeys(hosts[:3], "changed") | {"host-3": "failed"}),
        TaskResult("Authorize the agents and set their groups", 1.2, {hosts[0]: "changed"}),
        TaskResult("Run a job on each group", 6.9, {hosts[0]: "ok"}),
    )
    now = datetime.now(UTC)
    for hours, playbook, check, results in (
        (30, "deploy-agents.yml", False, good | bad),
        (5, "deploy-agents.yml", True, good),
        (2, "doctor.yml", False, good),
    ):
        began = (now - timedelta(hours=hours)).isoformat(timespec="seconds")
        save_deploy(Deploy(playbook, began, 21.3, check, results, tasks), state_dir())


def _say(server: RunningServer, address: str, message: str, number: int = 0) -> None:
    info: dict[str, object] = {"system": SYSTEMS[number % 4], "system_type": "linux", "isolation": "bare-metal"}
    if number % 2:
        info |= {"docker": "27.5.1", "kraken_fleet_version": "0.1.0", "kraken_fleet_clock_ahead": 0}
        info["kraken_fleet_host"] = {"cpus": 8, "memory": 32 << 30, "disk": 500 << 30, "disk_free": (90 + number) << 30}
    requests.post(f"{server.url}/backend", json={"address": address, "msg": message, "info": info}, timeout=60)


if __name__ == "__main__":
    with sync_playwright() as started:
        main(chromium(started), Path(sys.argv[1]))
