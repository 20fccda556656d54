"""`kraken-fleet doctor` on real hosts of several kinds of health."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.cli.main import main
from kraken_fleet.server.testing import RunningServer, running
from tests.json_answers import check_answer
from tests.real_server.fixtures import RealServer
from tests.terminal import on_a_terminal


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("doctor")) as server:
        yield server


def inventory(folder: Path, **variables: object) -> str:
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {
        "good": local,
        "elsewhere": local | {"kraken_server_url": "http://127.0.0.1:1"},
        "lost": {"ansible_host": "127.0.0.200", "ansible_port": 1, "ansible_ssh_common_args": "-o ConnectTimeout=2"},
    }
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump({"kraken_agents": {"hosts": hosts, "vars": variables}}))
    return str(path)


def by_check(findings: list[dict[str, Any]]) -> dict[str, Any]:
    return {finding["check"]: finding["ok"] for finding in findings}


def test_each_host_has_its_findings_and_the_others_are_looked_at_all_the_same(
    server: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = inventory(tmp_path, kraken_server_url=server.url, kraken_clickhouse_addr=server.log_addr)
    assert main(["doctor", "-i", hosts, "--json"]) == 3
    out = capsys.readouterr().out
    check_answer(["doctor", "--json"], out)
    report = json.loads(out)["data"]
    assert "this machine" not in report, "the hosts have several servers, and their clocks may differ"
    good = by_check(report["good"])
    assert good.pop("logs") is None, "nobody looked for the record, so nobody knows"
    # Where this machine has them: one that has been stopped matters to nobody, as no agent here offers it.
    engines = {engine: good.pop(engine) for engine in ("docker", "lxd") if engine in good}
    assert set(engines.values()) <= {True, None}
    assert good == dict.fromkeys(("python", "git", "disk", "dns", "tcp", "http", "clock", "agent"), True)
    assert by_check(report["elsewhere"])["tcp"] is False
    assert by_check(report["lost"]) == {"reach": False}


def test_people_get_a_table_and_a_remedy_for_each_finding(
    server: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = inventory(tmp_path, kraken_server_url=server.url)
    assert main(["doctor", "-i", hosts, "--limit", "good,elsewhere"]) == 3
    said = capsys.readouterr()
    assert "elsewhere: tcp: 127.0.0.1:1: Connection refused. Check that the server runs" in said.out
    assert "1 of 2 hosts have findings" in said.err


def test_a_terminal_shows_how_many_hosts_were_looked_at(server: RunningServer, tmp_path: Path) -> None:
    hosts = inventory(tmp_path, kraken_server_url=server.url)
    command = [sys.executable, "-m", "kraken_fleet.cli.main", "doctor", "-i", hosts, "--limit", "good,elsewhere"]
    code, drawn = on_a_terminal(command, os.environ)
    assert code == 3
    assert "Looking at the hosts: 2 done" in drawn


def test_a_python_that_does_not_start_is_told_in_the_hosts_words(
    server: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\necho 'this Python is broken' >&2\nexit 127\n")
    broken.chmod(0o755)
    hosts = tmp_path / "hosts.yml"
    variables = {"ansible_connection": "local", "kraken_become": False, "ansible_python_interpreter": str(broken)}
    agents = {"hosts": {"one": variables}, "vars": {"kraken_server_url": server.url}}
    hosts.write_text(yaml.safe_dump({"kraken_agents": agents}))
    assert main(["doctor", "-i", str(hosts)]) == 3
    said = capsys.readouterr().out
    assert "one: python: this Python is broken. Run the role kraken_prereqs, or set ansible_python_interpreter" in said


def test_all_well_is_exit_code_0(server: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "-i", inventory(tmp_path, kraken_server_url=server.url), "--limit", "good"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "this machine" in line)
    assert "✔" in line


def test_an_inventory_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "-i", "no-such-hosts.yml"]) == 1
    assert "no-such-hosts.yml: There is no such file" in capsys.readouterr().err


class _LateServer(BaseHTTPRequestHandler):
    """Answers like a Kraken server whose clock is 500 s behind."""

    def do_GET(self) -> None:
        self.send_response(405 if self.path.endswith("/backend") else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((time.time() if timestamp is None else timestamp) - 500)

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_clock_of_this_machine_that_is_not_the_servers_is_told_as_this_machines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _LateServer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        hosts = inventory(tmp_path, kraken_server_url=f"http://127.0.0.1:{server.server_port}")
        assert main(["doctor", "-i", hosts, "--limit", "good", "--json"]) == 3
        report = json.loads(capsys.readouterr().out)["data"]
        assert by_check(report["good"])["clock"] is False
        (finding,) = report["this machine"]
        assert (finding["check"], finding["ok"]) == ("clock", False)
        found = re.match(r"(\d+) s ahead of the server's", finding["detail"])
        assert found
        assert 499 <= int(found[1]) < 560, "a busy machine reads the answer late"
        assert main(["doctor", "-i", hosts, "--limit", "good"]) == 3
        said = capsys.readouterr()
        assert re.search(r"this machine: clock: 5\d\d s|this machine: clock: 499 s", said.out)
        assert "1 of 1 hosts have findings; this machine has one too" in said.err
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.real_server
def test_the_log_counts_as_reached_when_its_record_is_in_clickhouse(
    real_server: RealServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with KrakenClient(real_server.url, PasswordCredentials(real_server.user, real_server.password)) as client:
        general = client.settings()["general"]
    given = {name: general[name] for name in ("clickhouse_addr", "minio_addr")}
    hosts = inventory(
        tmp_path,
        kraken_server_url=real_server.url,
        kraken_clickhouse_addr=given["clickhouse_addr"],
        kraken_minio_addr=given["minio_addr"],
    )
    arguments = ["doctor", "-i", hosts, "--limit", "good", "--json"]
    assert main([*arguments, "--clickhouse", real_server.clickhouse]) == 0
    report = json.loads(capsys.readouterr().out)["data"]["good"]
    assert by_check(report)["logs"] is True
    assert by_check(report)["minio"] is True
