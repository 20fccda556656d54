"""`kraken-fleet metrics`: for people, for node_exporter, and when the server is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from kraken_fleet.cli.main import main
from kraken_fleet.server.testing import running
from tests.missing_package import hide_package


def _account(folder: Path, password: str) -> list[str]:
    (folder / "password").write_text(password + "\n")
    return ["--user", "admin", "--password-file", str(folder / "password")]


def test_the_file_is_written_whole_and_says_when_the_server_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KRAKEN_FLEET_STATE_DIR", str(tmp_path / "state"))
    file = tmp_path / "kraken.prom"
    with running(tmp_path / "server") as server:
        account = ["--server", server.url, *_account(tmp_path, server.password)]
        assert main(["metrics", *account]) == 0
        assert 'kraken_fleet_agents{state="idle"} 0.0' in capsys.readouterr().out
        assert main(["metrics", *account, "--textfile", str(file)]) == 0
        assert "kraken_fleet_server_up 1.0" in file.read_text()
        assert file.stat().st_mode & 0o777 == 0o644
        assert main(["metrics", *account, "--textfile", str(tmp_path / "kraken.txt")]) == 64
    gone = ["--server", "http://127.0.0.1:1", *_account(tmp_path, "x")]
    assert main(["metrics", *gone, "--textfile", str(file)]) == 1
    assert file.read_text().splitlines()[-1] == "kraken_fleet_server_up 0.0"
    assert sorted(path.name for path in tmp_path.glob("*.prom*")) == ["kraken.prom"]


def test_without_its_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hide_package(monkeypatch, "prometheus_client", "kraken_fleet.metrics", "kraken_fleet.cli.metrics")
    assert main(["metrics"]) == 1
    assert "pip install 'kraken-fleet[metrics]'" in capsys.readouterr().err
