"""The console plans and applies as the command line does: by the inventory's policies and the secrets of hosts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.model import Agent, Deployment
from kraken_fleet.plan import MadeNonce
from kraken_fleet.reconcile import NonceMemory
from kraken_fleet.server.testing import RunningServer, running
from tests.console_server import serving
from tests.unit.web.person import Person, settings_for, signed_in
from tests.waiting import eventually

ADDRESS = "10.0.0.21"
SECRET = "the secret of build-1"
RULES = """
kraken_agents:
  hosts: {build-1: {kraken_agent_address: 127.0.0.1}}
  vars:
    kraken_registration_trust: rules
    kraken_registration_trust_rules: [{networks: [127.0.0.0/8], systems: [debian-*], groups: [by-rule]}]
"""
AWS = {
    "region": "eu-central-1",
    "default_image": "ami-1",
    "instance_type": "c7i.large",
    "init_script": "export TOKEN=hunter2",
}
CLOUD = f"""
kraken_agents:
  hosts: {{build-9: {{kraken_agent_address: 10.0.0.99}}}}
all:
  vars: {{kraken_registration_groups: [{{name: spot, deployment: {{method: aws, aws: {AWS}}}}}]}}
"""


@pytest.fixture(autouse=True)
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state directory of this account's commands."""
    monkeypatch.setenv("KRAKEN_FLEET_STATE_DIR", str(tmp_path / "commands"))
    return tmp_path / "commands"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path / "server") as server:
        yield server


@pytest.fixture
def memory(server: RunningServer, commands: Path) -> NonceMemory:
    """What `kraken-fleet cloud-init` has kept: a secret for the host that claims ADDRESS."""
    memory = NonceMemory(commands, server.url)
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    memory.add(MadeNonce("build-1", ADDRESS, digest, datetime.now(UTC) + timedelta(hours=1)))
    return memory


def _say(server: RunningServer, address: str = ADDRESS, **info: object) -> None:
    for message in ("get-job", "host-info"):
        body = {"address": address, "msg": message, "info": {"system": "debian-12", **info}}
        requests.post(f"{server.url}/backend", json=body, timeout=60)


def _apply(person: Person) -> None:
    page = person.get("/fleet")
    fingerprint = re.search(r'name="fingerprint" value="([^"]+)"', page)
    assert fingerprint, page
    assert "Applying" in person.post("/fleet/apply", fingerprint=fingerprint[1]).text


def _after_trial(person: Person, server: RunningServer, address: str = ADDRESS, **info: object) -> str:
    """The page once the application has ended; meanwhile the agent says this of its host."""

    def look() -> str:
        _say(server, address, **info)
        return person.get("/fleet")

    return eventually(look, lambda page: "Last application" in page)


def _agent(server: RunningServer, address: str = ADDRESS) -> Agent:
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        (found,) = (one for one in (*client.agents(), *client.agents(unauthorized=True)) if one.address == address)
        return found


@pytest.mark.parametrize(("told", "passes"), [(SECRET, True), ("another", False)])
def test_a_host_with_a_secret_of_its_own_has_to_report_it(
    server: RunningServer, memory: NonceMemory, tmp_path: Path, told: str, passes: bool
) -> None:
    _say(server)
    with serving(settings_for(server, tmp_path)) as console:
        person = signed_in(console, server)
        assert "on trial: build-1 has to report its secret" in person.get("/discovered")
        assert f"authorize build-1 ({ADDRESS}) on trial" in person.get("/fleet")
        _apply(person)
        page = _after_trial(person, server, kraken_fleet_nonce=told)
    assert _agent(server).authorized is passes
    assert bool(memory.nonces()) is not passes, "a secret counts once, and stays until then"
    assert ("is not the one on build-1" in page) is not passes


def test_a_secret_that_has_expired_authorizes_nobody(server: RunningServer, commands: Path, tmp_path: Path) -> None:
    over = datetime.now(UTC) - timedelta(hours=1)
    NonceMemory(commands, server.url).add(MadeNonce("build-1", ADDRESS, "a" * 64, over))
    _say(server)
    with serving(settings_for(server, tmp_path)) as console:
        person = signed_in(console, server)
        assert "make new user data" in person.get("/discovered")
        assert "authorize build-1" not in person.get("/fleet")


def test_a_scrape_counts_the_changes_of_the_same_plan(server: RunningServer, commands: Path, tmp_path: Path) -> None:
    over = datetime.now(UTC) - timedelta(hours=1)
    NonceMemory(commands, server.url).add(MadeNonce("build-1", ADDRESS, "a" * 64, over))
    _say(server)
    with serving(settings_for(server, tmp_path)) as console:
        found = requests.get(f"{console}/metrics", auth=(server.user, server.password), timeout=60).text
    assert 'kind="create_group"' in found
    assert 'kind="authorize"} 1.0' not in found


def test_agents_are_authorized_by_the_rules_of_the_inventory(server: RunningServer, tmp_path: Path) -> None:
    _say(server, "127.0.0.1")
    settings = settings_for(server, tmp_path)
    (tmp_path / "hosts.yml").write_text(RULES)
    with serving(settings) as console:
        person = signed_in(console, server)
        assert "on trial: a rule is about 127.0.0.1" in person.get("/discovered")
        _apply(person)
        _after_trial(person, server, "127.0.0.1")
    agent = _agent(server, "127.0.0.1")
    assert (agent.authorized, agent.enabled, agent.group_names) == (True, True, {"all", "by-rule"})


def test_a_deployment_with_a_secret_is_set(server: RunningServer, tmp_path: Path) -> None:
    settings = settings_for(server, tmp_path)
    (tmp_path / "hosts.yml").write_text(CLOUD)
    with serving(settings) as console:
        person = signed_in(console, server)
        _apply(person)
        page = eventually(lambda: person.get("/fleet"), lambda page: "Last application" in page)
    assert "No changes" in page
    assert "hunter2" not in page
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        (spot,) = (group for group in client.groups() if group.name == "spot")
    assert spot.deployment
    assert spot.deployment.secrets() == Deployment.of("aws", AWS).secrets()
