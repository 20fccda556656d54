"""User data for a host of an inventory: where its machine gets the agent from, and what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from kraken_fleet.api import KrakenClient
from tests.unit.cli.planned_fleet import Run

MIRROR = "https://mirror.example/kraken/"
SUM = "0123456789abcdef" * 4


@pytest.fixture
def described(tmp_path: Path, client: KrakenClient) -> Any:
    """Writes an inventory of one host with these variables; returns the options that name both."""

    def write(**variables: Any) -> list[str]:
        path = tmp_path / "cloud.yml"
        hosts = {"build-1": {"kraken_agent_address": "192.0.2.21", **variables}}
        path.write_text(json.dumps({"kraken_agents": {"hosts": hosts}}))
        return ["-i", str(path), "build-1"]

    return write


def kept(tmp_path: Path) -> list[Path]:
    return [*(tmp_path / "state").glob("nonces/*")]


def test_the_agent_comes_from_the_server_that_serves_this_agent(run: Run, described: Any, client: KrakenClient) -> None:
    code, script, said = run("cloud-init", *described())
    assert code == 0, said
    assert f"{client.url}/bk/install/agent" in script
    assert hashlib.sha256(client.install_file("agent")).hexdigest() in script


def test_the_agent_comes_from_the_url_that_hosts_download_from(
    run: Run, described: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KrakenClient, "install_file", lambda *_: pytest.fail("The server was asked for its agent"))
    code, script, said = run(
        "cloud-init",
        *described(kraken_agent_bundle_url=MIRROR, kraken_agent_bundle_sha256={"kkagent": SUM.upper(), "kktool": ""}),
    )
    assert code == 0, said
    assert f"python3 - {MIRROR}kkagent {SUM} " in script


@pytest.mark.parametrize("sums", [{}, {"kktool": SUM}, {"kkagent": "$(reboot)"}, {"kkagent": SUM[1:]}])
def test_a_url_without_the_sum_of_its_file_is_refused(
    run: Run, described: Any, tmp_path: Path, sums: dict[str, str]
) -> None:
    options = described(kraken_agent_bundle_url=MIRROR, kraken_agent_bundle_sha256=sums)
    code, script, said = run("cloud-init", *options)
    assert (code, script) == (64, "")
    assert "Set kraken_agent_bundle_sha256 to {kkagent: SUM}" in " ".join(said.split())
    assert kept(tmp_path) == []


def test_krakens_own_agent_is_refused_with_what_to_set(
    run: Run, described: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KrakenClient, "install_file", lambda *_: b"PK kraken/agent/main.py")
    code, script, said = run("cloud-init", *described())
    assert (code, script) == (64, "")
    assert "Kraken's own agent" in said
    assert "kraken_agent_bundle_url" in said
    assert kept(tmp_path) == []


@pytest.mark.parametrize("variables", [{"KRAKEN_X; reboot": "1"}, {"MOTTO": "one\nEND_OF_SETTINGS\nreboot"}])
def test_what_is_no_variable_of_one_line_is_refused(
    run: Run, described: Any, tmp_path: Path, variables: dict[str, str]
) -> None:
    code, script, said = run("cloud-init", *described(kraken_agent_environment=variables))
    assert (code, script) == (64, "")
    assert next(iter(variables)) in said
    assert kept(tmp_path) == []


def test_a_fresh_agent_for_each_job_comes_with_user_data(run: Run, described: Any) -> None:
    code, script, said = run("cloud-init", *described(kraken_agent_one_job=True))
    assert code == 0, said
    assert "export KRAKEN_AGENT_ONE_JOB=yes" in script.splitlines()


def test_a_fresh_agent_that_updates_itself_is_refused(run: Run, described: Any, tmp_path: Path) -> None:
    sums = {"kraken_agent_update": "server", "kraken_agent_update_sha256": [SUM, SUM]}
    code, script, said = run("cloud-init", *described(kraken_agent_one_job=True, **sums))
    assert (code, script) == (64, "")
    assert "Set kraken_agent_update to managed" in " ".join(said.split())
    assert kept(tmp_path) == []


@pytest.mark.parametrize("name", ["kraken_agent_sudo", "kraken_agent_unit_settings"])
def test_what_user_data_cannot_bring_is_refused_by_name(run: Run, described: Any, name: str) -> None:
    code, script, said = run("cloud-init", *described(**{name: {"Nice": 5} if "unit" in name else True}))
    assert (code, script) == (64, "")
    assert f"{name} is set, and user data cannot bring it" in " ".join(said.split())
