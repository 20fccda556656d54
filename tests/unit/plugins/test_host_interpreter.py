"""The Python that runs an agent."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import interpreter
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.users import current_user

ME = current_user()


def program(path: Path, code: int) -> str:
    """A program that ends with this exit code, whatever it is asked."""
    path.write_text(f"#!/bin/sh\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


def test_ansibles_own_is_taken_when_none_is_named() -> None:
    assert interpreter.choose("", ME) == sys.executable


def test_the_one_that_is_named_is_taken(tmp_path: Path) -> None:
    assert interpreter.choose(program(tmp_path / "python3", 0), ME) == str(tmp_path / "python3")


@pytest.mark.parametrize("wanted", ["python3", "/no/such/python", "/etc/passwd"])
def test_what_is_no_program_is_refused_by_the_variables_name(wanted: str) -> None:
    with pytest.raises(HostError, match=f"kraken_agent_python {wanted} is not a program on this host"):
        interpreter.choose(wanted, ME)


def test_an_old_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"is older than Python 3\.8"):
        interpreter.choose(program(tmp_path / "python3", 1), ME)


def test_one_in_a_closed_directory_is_refused_for_another_account(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    with pytest.raises(HostError, match="cannot be run by user somebody: a directory above it is closed"):
        interpreter.choose(program(tmp_path / "closed" / "python3", 0), "somebody")


def test_the_systems_is_taken_when_ansibles_own_is_closed_to_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    monkeypatch.setattr(sys, "executable", program(tmp_path / "closed" / "python3", 0))
    monkeypatch.setattr(interpreter, "_OTHERS", ("/no/such/python", "/bin/true"))
    assert interpreter.choose("", "somebody") == "/bin/true"


def test_a_host_without_one_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    monkeypatch.setattr(interpreter, "_OTHERS", ("/bin/false",))
    with pytest.raises(HostError, match=r"no Python >= 3\.8 that user somebody may run.*set kraken_agent_python"):
        interpreter.choose("", "somebody")
