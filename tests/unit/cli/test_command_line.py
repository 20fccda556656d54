"""The command line as programs and people meet it: exit codes, one answer shape, and how fast it is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kraken_fleet import __version__
from kraken_fleet.cli import main as cli
from kraken_fleet.cli.main import COMMANDS, main


@pytest.fixture(autouse=True)
def _no_server_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("KRAKEN_")]:
        monkeypatch.delenv(name)


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kraken-fleet {__version__}\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, entry in COMMANDS.items():
        assert name in shown
        assert entry.help in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"kraken-fleet {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["agents", "lst"], "Did you mean 'list'"),
        (["agents", "list", "--colour"], "No such option"),
        (["lab", "up", "--hosts", "many"], "--hosts"),
        (["lab", "up", "--hosts", "0"], "--hosts"),
        (["agents", "show"], "AGENT"),
        (["agents", "list"], "No Kraken server is named"),
        (["agents", "list", "--server", "http://127.0.0.1:1"], "There is no account"),
        (["agents", "list", "--server", "http://127.0.0.1:1", "--user", "x", "--password-file", "/none"], "/none"),
    ],
)
def test_a_wrong_command_line_is_64_with_one_message(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 64
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.out == ""
    assert "Traceback" not in shown.err


def test_programs_get_errors_in_the_shape_of_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agents", "list", "--json"]) == 64
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    assert answer["ok"] is False
    assert set(answer["error"]) == {"kind", "message", "where", "hint"}
    assert answer["error"]["kind"] == "Usage"
    assert shown.err == ""


def test_a_wrong_option_with_json_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "build", "--json", "--nothing"]) == 64
    assert json.loads(capsys.readouterr().out)["error"]["message"].startswith("No such option")


def test_there_is_no_option_that_takes_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agents", "list", "--server", "http://127.0.0.1:1", "--password", "x"]) == 64
    assert "No such option" in capsys.readouterr().err


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_name: str) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "load", interrupted)
    assert main(["agents", "list"]) == 130
    assert capsys.readouterr().err.strip() == "Error: Interrupted."


def test_bundles_are_shown_with_what_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "build", "--out", str(tmp_path), "--json"]) == 0
    built = json.loads(capsys.readouterr().out)
    assert built["ok"] is True
    assert [made["name"] for made in built["data"]] == ["kkagent", "kktool"]
    for made in built["data"]:
        assert set(made) == {"name", "version", "path", "size", "sha256"}
        assert Path(made["path"]).stat().st_size == made["size"]
    assert main(["bundle", "inspect", str(tmp_path / "kkagent")]) == 0
    assert built["data"][0]["sha256"] in capsys.readouterr().out


def test_a_corrupt_bundle_is_1_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kkagent").write_bytes(b"#!/usr/bin/env python3\nPK")
    assert main(["bundle", "inspect", str(tmp_path / "kkagent")]) == 1
    assert "damaged or not a bundle" in capsys.readouterr().err


def test_a_command_whose_library_is_not_installed_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "serve", cli.Entry("cloud", "Nothing.", extra="server"))

    def missing(_name: str) -> object:
        raise ModuleNotFoundError("No module named 'fastapi'", name="fastapi")

    monkeypatch.setattr("importlib.import_module", missing)
    assert main(["serve"]) == 1
    assert "pip install 'kraken-fleet[server]'" in capsys.readouterr().err


def test_no_colour_when_it_is_not_wanted() -> None:
    command = [sys.executable, "-m", "kraken_fleet.cli.main", "agents", "list"]
    environ = {**os.environ, "NO_COLOR": "1", "FORCE_COLOR": ""}
    shown = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert shown.returncode == 64
    assert "\x1b" not in shown.stderr + shown.stdout


def test_help_imports_neither_http_nor_a_server_nor_the_lab() -> None:
    code = (
        "import sys; from kraken_fleet.cli.main import main; main(['--help']); "
        "print([name for name in ('requests', 'fastapi', 'yaml', 'kraken_fleet.lab') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.splitlines()[-1] == "[]"


def test_help_of_a_command_says_all_that_there_is_to_say_in_whole_lines() -> None:
    said = cli.load("plan").help
    assert "Exit code 0: no changes" in said
    assert all("\n" not in paragraph for paragraph in said.split("\n\n"))
    assert cli.load("agents").help == cli.COMMANDS["agents"].help
    assert "\n" not in cli.load("agents").commands["disable"].help.split("\n\n")[1]
