"""`kraken-fleet serve backup` and `serve restore`, beside a server that is a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from kraken_fleet.server.backup import manifest
from kraken_fleet.server.store.database import DATABASE, LOCK
from tests.unit.cli.planned_fleet import Ask, Run


@contextmanager
def _serving(*arguments: str) -> Iterator[str]:
    """Run a server as a process, with these arguments; give its URL. It has to end well."""
    command = [sys.executable, "-m", "kraken_fleet.cli.main", "serve", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout
        try:
            url = process.stdout.readline().split()[3].rstrip(",")
            assert requests.get(f"{url}/install/none", timeout=60).status_code == 404
            yield url
            process.send_signal(signal.SIGINT)
            errors = process.communicate(timeout=100)[1]
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()


def _groups(url: str, *, make: str = "") -> list[str]:
    with requests.Session() as http:
        http.trust_env = False
        signed_in = http.post(f"{url}/api/sessions", json={"user": "admin", "password": "from-a-file"}, timeout=100)
        http.headers["Authorization"] = f"Bearer {signed_in.json()['token']}"
        if make:
            assert http.post(f"{url}/api/groups", json={"name": make}, timeout=100).status_code == 201
        return sorted(group["name"] for group in http.get(f"{url}/api/groups", timeout=100).json()["items"])


def test_a_server_is_backed_up_while_it_runs_and_restored_when_it_does_not(
    tmp_path: Path, ask: Ask, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("password").write_text("from-a-file\n")
    Path("password").chmod(0o600)
    served = ["--port", "0", "--admin-password-file", "password"]
    with ExitStack() as stack:
        url = stack.enter_context(_serving(*served))  # in the default directory
        _groups(url, make="linux")
        assert requests.get(f"{url}/install/agent", timeout=60).status_code == 200
        made = ask("serve", "backup", "backup.tar.gz")
        assert _groups(url, make="later") == ["all", "later", "linux"]
        code, _out, said = run("serve", "restore", "backup.tar.gz", "--force")
        assert code == 1
        assert "Another server uses this directory" in said
        # A new part of the data directory belongs into a backup, or is known here as one that can be made again.
        known = {LOCK, DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "bundles", *manifest.DIRECTORIES}
        assert {path.name for path in Path("kraken-server").iterdir()} <= known
    assert made["file"] == "backup.tar.gz"
    assert made["size"] == Path("backup.tar.gz").stat().st_size
    assert DATABASE in [file["name"] for file in made["files"]]
    restored = ask("serve", "restore", "backup.tar.gz", "--force")
    assert restored["made"] == made["made"]
    assert Path(restored["before"], DATABASE).exists()
    with _serving(*served) as url:
        assert _groups(url) == ["all", "linux"]


def test_the_data_directory_may_stand_before_or_after_the_subcommand(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with _serving("--port", "0", "--data-dir", "one"):
        assert run("serve", "--data-dir", "one", "backup", "a")[0] == 0
        code, out, _err = run("serve", "backup", "b", "--data-dir", "one")
        assert code == 0
        assert "database of version" in out
    code, out, _err = run("serve", "restore", "a", "--data-dir", "two words")
    assert code == 0
    assert "kraken-fleet serve --data-dir 'two words'" in out
    assert Path("two words", DATABASE).exists()
    code, _out, said = run("serve", "--data-dir", "two words", "restore", "b")
    assert code == 1
    assert "not empty" in said
    assert run("serve", "--data-dir", "two words", "restore", "b", "--force")[0] == 0
    assert not Path("kraken-server").exists()


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--port", "1", "backup", "file"], "--port"),
        (["--json", "restore", "file"], "--json"),
        (["--limit-connections", "7", "backup", "file"], "--limit-connections"),
    ],
)
def test_an_option_of_the_server_is_refused_before_a_subcommand(arguments: list[str], option: str, run: Run) -> None:
    code, out, said = run("serve", *arguments)
    assert code == 64
    assert f"{option} before" in out + said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["backup", "file"], 1, "no database of a server"),
        (["restore", "file"], 1, "no such file"),
        (["backup"], 64, "FILE"),
        (["bakup", "file"], 64, "Did you mean 'backup'"),
    ],
)
def test_what_is_missing_is_one_clear_message(
    arguments: list[str], code: int, words: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found, _out, said = run("serve", *arguments)
    assert found == code
    assert words in said
    assert list(tmp_path.iterdir()) == []


def test_json_of_a_refusal_names_its_kind(tmp_path: Path, run: Run) -> None:
    code, out, _err = run("serve", "backup", str(tmp_path / "file"), "--data-dir", str(tmp_path), "--json")
    assert code == 1
    assert json.loads(out)["error"]["kind"] == "Backup"
