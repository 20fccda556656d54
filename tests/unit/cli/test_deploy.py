"""The options of `kraken-fleet deploy`, `upgrade` and `worker`, before anything runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kraken_fleet.cli import slice_options
from kraken_fleet.cli.main import main
from tests.certificates import Authority

PLAYBOOK = "playbooks/deploy-agents.yml"


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    path = tmp_path / "hosts.yml"
    path.write_text("kraken_agents: {hosts: {one: {}}}")
    return str(path)


@pytest.fixture
def certificates(tmp_path: Path) -> list[str]:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("me")
    return ["--tls-ca", str(authority.certificate), "--tls-certificate", str(certificate), "--tls-key", str(key)]


def test_a_deploy_in_one_piece_passes_the_options_on_and_returns_the_exit_code(
    inventory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def run(line: list[str]) -> int:
        ran.extend(line)
        return 4

    monkeypatch.setattr(slice_options, "run_here", run)
    given = ["--limit", "one", "-C", "--diff", "-t", "agent", "--skip-tags", "verify", "-f", "7", "-e", "a=b"]
    vaults = ["--vault-password-file", "secret", "--become", "-vvv", "--start-at-task", "Agents"]
    assert main(["deploy", "-i", inventory, *given, *vaults]) == 4
    assert ran[1:4] == ["-m", "ansible", "playbook"]
    assert ran[4:-1] == [
        *("-i", inventory, "--limit", "one", "--vault-password-file=secret", "-e", "a=b"),
        *("--check", "--diff", "--forks", "7", "--tags", "agent", "--skip-tags", "verify"),
        *("--become", "-vvv", "--start-at-task", "Agents"),
    ]
    assert ran[-1].endswith(PLAYBOOK)


def test_an_upgrade_in_one_piece_runs_its_own_playbook(inventory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(line: list[str]) -> int:
        ran.extend(line)
        return 2

    monkeypatch.setattr(slice_options, "run_here", run)
    assert main(["upgrade", "-i", inventory, "-C", "-e", "kraken_upgrade_serial=1", "--become"]) == 2
    assert ran[4:-1] == ["-i", inventory, "-e", "kraken_upgrade_serial=1", "--check", "--become"]
    assert ran[-1].endswith("playbooks/upgrade-agents.yml")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--json"], "--json and the options for certificates need --slices or --workers"),
        (["--slices", "2", "--become"], "A deploy or upgrade in slices does not take '--become'"),
        (["--slices", "2", "--tags", "prereqs"], "A deploy in slices has no part 'prereqs'"),
        (["--slices", "2", "--tags", "verify"], "Without the part 'agent' there is nothing to do in slices"),
        (["--workers", "many"], "'many' is no address of a scheduler"),
        (["--workers", "tcp://scheduler:8786"], "workers run what they are sent, so there is no address without TLS"),
        (["--workers", "tls://scheduler:8786"], "Workers are reached over TLS only"),
    ],
)
def test_a_wrong_command_line_is_told_before_anything_runs(
    inventory: str, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "-i", inventory, *options]) == 64
    told = capsys.readouterr()
    assert said in told.err + json.dumps(told.out)


def test_a_tls_key_that_others_can_read_is_refused(
    inventory: str, certificates: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(certificates[-1]).chmod(0o644)
    assert main(["worker", "--scheduler", "tls://scheduler:8786", *certificates]) == 64
    assert "Others can read this key" in capsys.readouterr().err
    assert main(["deploy", "-i", inventory, "--workers", "tls://scheduler:8786", *certificates]) == 64


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        ("ansible_runner", ["deploy", "--slices", "2"]),
        ("distributed", ["deploy", "--workers", "tls://scheduler:8786"]),
        ("ansible_runner", ["worker", "--scheduler", "tls://scheduler:8786"]),
    ],
)
def test_without_the_extra_the_message_names_it(
    missing: str,
    line: list[str],
    inventory: str,
    certificates: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    named: list[Any] = ["-i", inventory] if line[0] == "deploy" else []
    assert main([*line, *named, *(certificates if "--slices" not in line else [])]) == 1
    assert "pip install 'kraken-fleet[scale]'" in capsys.readouterr().err
