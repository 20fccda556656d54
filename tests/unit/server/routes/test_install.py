"""What hosts install from (recorded answers, section 14)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from kraken_fleet import bundle
from kraken_fleet.server.testing import RunningServer, running

from ..conftest import Api

# Stands for kkagent: writes down how it was called.
AGENT = """import os, sys
with open(os.environ["REPORT"], "w") as report:
    print(sys.argv[1:], os.environ["KRAKEN_CLICKHOUSE_ADDR"], file=report)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    bundles = tmp_path / "bundles"
    bundles.mkdir()
    (bundles / "kkagent").write_text(AGENT)
    (bundles / "kktool").write_text("tool")
    with running(tmp_path / "data", bundle_dir=bundles) as found:
        yield found


def test_files_are_served_under_both_prefixes_without_a_token(server: RunningServer) -> None:
    for prefix in ("", "/bk"):
        for name, text in (("agent", AGENT), ("tool", "tool")):
            answer = requests.get(f"{server.url}{prefix}/install/{name}", timeout=60)
            assert (answer.status_code, answer.text) == (200, text)
    unknown = requests.get(f"{server.url}/install/nope", timeout=60)
    assert (unknown.status_code, unknown.json()["title"]) == (404, "Not Found")
    assert requests.get(f"{server.url}/install/nssm-2.24.zip", timeout=60).status_code == 500


def test_after_an_update_the_present_agent_is_served_and_not_the_one_from_before(tmp_path: Path) -> None:
    bundles = tmp_path / "data" / "bundles"
    bundles.mkdir(parents=True, mode=0o700)
    (bundles / "kkagent").write_text("the agent of an older kraken-fleet")
    wanted = {made.name: made.path.read_bytes() for made in bundle.build(tmp_path / "wanted")}
    with running(tmp_path / "data") as server:
        for _ in range(2):
            for name in ("agent", "tool"):
                served = requests.get(f"{server.url}/install/{name}", timeout=60).content
                assert served == wanted[f"kk{name}"]
    assert (bundles / "kkagent").read_bytes() == wanted["kkagent"]


def test_an_agent_that_cannot_be_built_is_not_replaced_by_an_older_one(tmp_path: Path) -> None:
    # A directory where a file belongs: nobody can write it, root neither.
    bundles = tmp_path / "data" / "bundles"
    (bundles / "kktool").mkdir(parents=True, mode=0o700)
    (bundles / "kktool" / "x").touch()
    with running(tmp_path / "data") as server:
        assert requests.get(f"{server.url}/install/agent", timeout=60).status_code == 500
        (bundles / "kktool" / "x").unlink()
        (bundles / "kktool").rmdir()
        assert requests.get(f"{server.url}/install/agent", timeout=60).status_code == 200


def run_script(server: RunningServer, tmp_path: Path, *, sudo: bool = True) -> subprocess.CompletedProcess[str]:
    answer = requests.get(f"{server.url}/install/kraken-agent-install.sh", timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-sh")
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "sudo").write_text(f"#!/bin/sh\nexit {0 if sudo else 1}\n")
    (programs / "sudo").chmod(0o755)
    environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "REPORT": str(tmp_path / "report")}
    command = ["bash", "-s"]
    return subprocess.run(
        command, input=answer.text, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_script_downloads_and_installs_the_agent(server: RunningServer, tmp_path: Path) -> None:
    done = run_script(server, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report").read_text() == f"['install', '-s', '{server.url}'] {server.log_addr}\n"


def test_the_script_stops_without_sudo(server: RunningServer, tmp_path: Path) -> None:
    done = run_script(server, tmp_path, sudo=False)
    assert done.returncode == 1
    assert "sudo without a password is required" in done.stderr


def test_settings_cannot_smuggle_commands_into_the_scripts(server: RunningServer, tmp_path: Path) -> None:
    evil = f"x'; touch {tmp_path}/evil; '$(touch {tmp_path}/evil)"
    Api(server).call("PUT", "/api/settings", {"general": {"clickhouse_addr": evil}})
    run_script(server, tmp_path)
    assert not (tmp_path / "evil").exists()
    assert evil in (tmp_path / "report").read_text()
    windows = requests.get(f"{server.url}/install/kraken-agent-install.bat", timeout=60)
    assert windows.headers["content-type"] == "application/x-bat"
    quoted = evil.replace("'", "''")
    assert f"$env:KRAKEN_CLICKHOUSE_ADDR = '{quoted}'" in windows.text


def test_the_scripts_refuse_while_an_address_is_not_set(server: RunningServer) -> None:
    api = Api(server)
    general = api.get("/settings")["general"]
    for name in ("server_url", "clickhouse_addr"):
        api.call("PUT", "/api/settings", {"general": {name: ""}})
        for script in ("kraken-agent-install.sh", "kraken-agent-install.bat"):
            answer = requests.get(f"{server.url}/install/{script}", timeout=60)
            assert (answer.status_code, answer.text) == (500, "{}")
        api.call("PUT", "/api/settings", {"general": {name: general[name]}})
    assert requests.get(f"{server.url}/bk/install/kraken-agent-install.sh", timeout=60).status_code == 200
