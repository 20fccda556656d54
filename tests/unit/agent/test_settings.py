"""Command line, variables and kraken.env."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from kraken_agent.cli import UsageError, parse
from kraken_agent.config import Config, ConfigError
from kraken_agent.env_file import env_file, read_env_file

from tests.unit.agent.conftest import AGENT_SOURCE, PYTHON


def kkagent(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(AGENT_SOURCE), "PATH": "/usr/bin:/bin", **variables}
    command = [PYTHON, "-m", "kraken_agent", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_upstreams_options_are_understood() -> None:
    words = ["run", "-s", "http://h", "-d", "/d", "-t", "/a,/b", "-c", "h:1", "--system-id", "5"]
    words += ["--no-update", "--one-job"]
    assert parse(words) == (
        "run",
        {
            "server": "http://h",
            "data_dir": "/d",
            "tools_dirs": "/a,/b",
            "clickhouse_addr": "h:1",
            "system_id": "5",
            "no_update": "yes",
            "one_job": "yes",
        },
    )
    assert parse(["install", "--server=h:1", "--data-dir", "/x"]) == ("install", {"server": "h:1", "data_dir": "/x"})


@pytest.mark.parametrize(
    "words",
    [
        ["-s", "http://h", "-d", "/d", "--one-job", "run"],
        ["--one-job", "run", "-s", "http://h", "-d", "/d"],
        ["--server=http://h", "run", "--one-job", "--data-dir=/d"],
    ],
)
def test_options_may_stand_on_either_side_of_the_command(words: list[str]) -> None:
    assert parse(words) == ("run", {"server": "http://h", "data_dir": "/d", "one_job": "yes"})


def test_an_options_value_may_be_called_like_a_command() -> None:
    assert parse(["-d", "run", "run"]) == ("run", {"data_dir": "run"})


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["walk"],
        ["run", "--fast"],
        ["run", "-s"],
        ["-s", "run"],
        ["install", "--one-job"],
        ["--one-job", "install"],
        ["run", "run"],
        ["-d", "/d", "check-integrity"],
    ],
)
def test_other_command_lines_are_refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        parse(words)
    done = kkagent(*words)
    assert done.returncode == 2
    assert "usage: kkagent" in done.stderr


def test_help_and_version_are_told() -> None:
    assert "KRAKEN_SERVER_ADDR" in kkagent("--help").stdout
    assert kkagent("--version").stdout.strip()[0].isdigit()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "no server is named"),
        ({"KRAKEN_SERVER_ADDR": "ftp://h"}, "begins with neither"),
        ({"KRAKEN_SERVER_ADDR": "h", "KRAKEN_AGENT_UPDATE": "daily"}, "can be managed or server"),
        ({"KRAKEN_SERVER_ADDR": "h", "KRAKEN_AGENT_DRAIN_SECONDS": "-1"}, "KRAKEN_AGENT_DRAIN_SECONDS"),
        ({"KRAKEN_SERVER_ADDR": "h", "KRAKEN_CLICKHOUSE_ADDR": "h"}, "is not HOST:PORT"),
        ({"KRAKEN_SERVER_ADDR": "h", "KRAKEN_CLICKHOUSE_ADDR": "h:99999"}, "is not HOST:PORT"),
    ],
)
def test_bad_settings_are_one_clear_line(variables: dict[str, str], message: str, tmp_path: Path) -> None:
    done = kkagent("run", **{"KRAKEN_DATA_DIR": str(tmp_path), **variables})
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_directory_that_cannot_be_written_is_named_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = kkagent("run", "-s", "http://127.0.0.1:9", "-d", str(tmp_path / "file" / "data"))
    assert done.returncode == 2
    assert f"the data directory {tmp_path}/file/data cannot be written" in done.stderr
    assert "KRAKEN_DATA_DIR" in done.stderr


def test_the_command_line_wins_over_variables() -> None:
    config = Config({"server": "a"}, {"KRAKEN_SERVER_ADDR": "b", "KRAKEN_DATA_DIR": "/d", "KRAKEN_TOOLS_DIRS": "/x,/y"})
    assert (config.server, config.data_dir, config.tools_dirs) == ("a", "/d", ["/x", "/y"])


def test_no_update_wins_over_the_variable() -> None:
    variables = {"KRAKEN_SERVER_ADDR": "h", "KRAKEN_AGENT_UPDATE": "server"}
    assert Config({}, variables).follows_server
    assert not Config({"no_update": "yes"}, variables).follows_server


def test_env_files_are_read_as_systemd_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "kraken.env"
    path.write_text('# c\n; c\nA=1\n B = two words \nC=\'single $x\'\nD="a \\"q\\" \\$y"\nE=\nnonsense\n')
    assert read_env_file(str(path)) == {"A": "1", "B": "two words", "C": "single $x", "D": 'a "q" $y', "E": ""}


def test_the_env_file_is_found_beside_the_data_or_above_the_program(tmp_path: Path) -> None:
    program = tmp_path / "versions" / "1" / "kkagent"
    program.parent.mkdir(parents=True)
    program.touch()
    data = str(tmp_path / "elsewhere" / "data")
    assert env_file(data, str(program), {}) is None
    (tmp_path / "kraken.env").touch()
    assert env_file(data, str(program), {}) == str(tmp_path / "kraken.env")
    (tmp_path / "other.env").touch()
    named = {"KRAKEN_AGENT_ENV_FILE": str(tmp_path / "other.env")}
    assert env_file(data, str(program), named) == str(tmp_path / "other.env")


def test_a_missing_server_raises() -> None:
    with pytest.raises(ConfigError):
        Config({}, {})
