"""The audit log: what a line says, and that no line is lost or cut when several processes write and rotate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.audit import AuditLog, Origin, audited, of_this_machine, usual_log
from kraken_fleet.errors import FleetError, RequestRejectedError, UnsafeChangeError
from kraken_fleet.model import Change
from kraken_fleet.server.testing import RunningServer, running
from tests.unique_names import unique_name

ANNA = Origin("anna", "kraken-fleet agents disable", "desk-7")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def client_of(server: RunningServer, log: AuditLog) -> KrakenClient:
    return audited(KrakenClient(server.url, PasswordCredentials(server.user, server.password)), ANNA, log)


def test_a_line_says_who_when_what_from_where_and_how_it_ended(server: RunningServer, tmp_path: Path) -> None:
    path, name = tmp_path / "logs" / "audit.log", unique_name("audit")
    with client_of(server, AuditLog(path)) as client:
        group = client.create_group(name)
    (line,) = lines(path)
    assert line.pop("time").endswith("Z")
    assert line == {
        "who": "anna",
        "account": "admin",
        "program": "kraken-fleet agents disable",
        "from": "desk-7",
        "server": server.url,
        "action": "create group",
        "targets": [group.name],
        "details": {},
        "result": "ok",
    }
    assert server.password not in path.read_text()


def test_agents_and_groups_are_told_of_by_their_names(server: RunningServer, tmp_path: Path) -> None:
    path, name = tmp_path / "audit.log", unique_name("audit")
    address = "10.33.0.1"
    requests.post(f"{server.url}/backend", json={"address": address, "msg": "get-job"}, timeout=60)
    with client_of(server, AuditLog(path)) as client:
        group = client.create_group(name)
        (agent,) = [one for one in client.agents(unauthorized=True) if one.address == address]
        client.set_authorized([agent.id])
        client.set_agent_groups(agent.id, [*(ref.id for ref in client.agent(agent.id).groups), group.id])
        client.disable_agent(agent.id)
        client.enable_agent(agent.id)
        client.rename_group(group.id, f"{name}-2")
        client.set_agent_groups(agent.id, [ref.id for ref in client.agent(agent.id).groups if ref.id != group.id])
        client.delete_group(group.id)
        client.delete_agent(agent.id)
    said = [(line["action"], line["targets"], line["details"]) for line in lines(path)]
    assert said[:6] == [
        ("create group", [name], {}),
        ("authorize agents", [address], {}),
        ("set groups of agent", [address], {"groups": ["all", name]}),
        ("disable agent", [address], {}),
        ("enable agent", [address], {}),
        ("rename group", [name], {"name": f"{name}-2"}),
    ]
    assert said[-1] == ("delete agent", [address], {})
    assert said[-2][0] == "delete group"


def test_what_failed_is_recorded_with_the_reason_and_reading_is_not(server: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    with client_of(server, AuditLog(path)) as client:
        client.agents()
        assert not path.exists()
        with pytest.raises(RequestRejectedError):
            client.cancel_job(987654)
        with pytest.raises(UnsafeChangeError):
            client.create_group(" ")
    (line,) = lines(path)
    assert (line["action"], line["targets"]) == ("cancel job", ["job 987654"])
    assert line["result"] not in ("", "ok")


def test_the_values_of_settings_are_not_recorded(server: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    with client_of(server, AuditLog(path)) as client:
        client.update_settings({"general": {"minio_addr": "secret.example:9999"}})
    assert lines(path)[-1]["targets"] == ["general.minio_addr"]
    assert "secret.example" not in path.read_text()


def test_a_log_that_was_asked_for_and_cannot_be_written_keeps_changes_back(
    server: RunningServer, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    name = unique_name("audit")
    wrong = usual_log({"KRAKEN_FLEET_AUDIT_LOG": str(tmp_path / "file" / "audit.log")})
    with client_of(server, wrong) as client:
        with pytest.raises(FleetError, match="nothing is changed"):
            client.create_group(name)
        assert name not in {group.name for group in client.groups()}


def test_without_a_place_for_the_usual_log_changes_are_made(server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    name = unique_name("audit")
    with client_of(server, usual_log({"KRAKEN_FLEET_STATE_DIR": str(tmp_path / "file")})) as client:
        client.create_group(name)
        assert name in {group.name for group in client.groups()}


def test_a_new_file_after_a_rotation_has_the_mode_that_somebody_gave(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(path, max_bytes=300, kept=2)
    log.write(ANNA, Change("first"))
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o660)
    for number in range(9):
        log.write(ANNA, Change(f"change {number}"))
    assert {one.name for one in tmp_path.iterdir()} == {"audit.log", "audit.log.1", "audit.log.2"}
    assert path.stat().st_mode & 0o777 == 0o660


WRITER = """
import sys
from pathlib import Path
from kraken_fleet.audit import AuditLog, Origin
from kraken_fleet.model import Change
log = AuditLog(Path(sys.argv[1]), max_bytes=4000, kept=100)
for number in range(50):
    log.write(Origin(sys.argv[2], "writer", "here"), Change("write", (str(number),)))
"""


def test_no_line_is_lost_when_processes_write_and_rotate_at_once(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "abcd"]
    assert [writer.wait(100) for writer in writers] == [0, 0, 0, 0]
    files = [*tmp_path.iterdir()]
    assert len(files) > 5
    found = [(line["who"], int(line["targets"][0])) for file in files for line in lines(file)]
    assert sorted(found) == [(name, number) for name in "abcd" for number in range(50)]


def test_what_a_person_does_on_this_machine_has_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert of_this_machine("kraken-fleet apply").who == "anna"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "berta")
    assert of_this_machine("kraken-fleet apply").who == "berta"
