"""The fleet that plan, apply and reconcile are tested with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.cli.main import main
from kraken_fleet.server.testing import running
from tests.json_answers import check_answer
from tests.unit.cli.planned_fleet import INVENTORY, Ask, Run


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KrakenClient]:
    """A server with three discovered agents, one of which nobody asked for."""
    with running(tmp_path / "server") as server:
        (tmp_path / "password").write_text(server.password)
        monkeypatch.setenv("KRAKEN_FLEET_SERVER", server.url)
        monkeypatch.setenv("KRAKEN_FLEET_STATE_DIR", str(tmp_path / "state"))
        monkeypatch.setenv("KRAKEN_FLEET_USER", server.user)
        monkeypatch.setenv("KRAKEN_FLEET_PASSWORD_FILE", str(tmp_path / "password"))
        for address in ("127.0.0.21", "127.0.0.22", "127.0.0.66"):
            requests.post(f"{server.url}/backend", json={"address": address, "msg": "get-job"}, timeout=60)
        with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
            yield client


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    path = tmp_path / "hosts.yml"
    path.write_text(INVENTORY)
    return str(path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        said = capsys.readouterr()
        check_answer(arguments, said.out)
        return code, said.out, said.err

    return run


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs a command with --json and returns its data; the command has to succeed."""

    def run(*arguments: str) -> Any:
        assert main([*arguments, "--json"]) == 0, capsys.readouterr()
        out = capsys.readouterr().out
        check_answer([*arguments, "--json"], out)
        return json.loads(out)["data"]

    return run
