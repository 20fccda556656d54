"""kraken.env, as a shell, systemd and the agent itself read it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import env_file
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError
from kraken_agent.env_file import read_env_file

AWKWARD = {
    "PLAIN": "http://h:6363/bk",
    "BLANKS": " a  b ",
    "QUOTES": 'it\'s "quoted"',
    "SHELL": "$HOME `id` \\$X \\\\ \\n",
    "HASH": "a#b ;c",
    "UMLAUT": "größer",
    "PERCENT": "100%",
}


def test_a_shell_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "kraken.env"
    path.write_text(env_file.render(AWKWARD))
    for name, value in AWKWARD.items():
        shown = subprocess.run(["sh", "-c", f'. "$0"; printf %s "${name}"', str(path)], capture_output=True, check=True)
        assert shown.stdout.decode() == value, name


def test_the_agent_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "kraken.env"
    path.write_text(env_file.render(AWKWARD))
    assert read_env_file(str(path)) == AWKWARD


def test_what_was_written_is_parsed_again() -> None:
    assert env_file.parse(env_file.render(AWKWARD)) == AWKWARD


def test_only_variables_with_a_value_are_written() -> None:
    assert env_file.render({"A": "", "B": "x"}) == env_file.HEADER + "B=x\n"


@pytest.mark.parametrize(("name", "value"), [("A B", "x"), ("1A", "x"), ("A", "two\nlines"), ("", "x")])
def test_what_no_environment_can_hold_is_refused(name: str, value: str) -> None:
    with pytest.raises(HostError, match="kraken_agent_environment"):
        env_file.render({name: value})
