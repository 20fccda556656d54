"""docs/security.md promises what tests hold."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import systemd
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec import AgentSpec

_ROOT = Path(__file__).parents[3]
_PAGE = (_ROOT / "docs" / "security.md").read_text(encoding="utf-8")
_PROMISED = _PAGE.partition("## What is promised")[2].partition("\n## ")[0]
_NAMED = sorted(set(re.findall(r"`(tests/[\w/.]+\.py)::(\w+)`", _PAGE)))


def _tests(path: str) -> set[str]:
    tree = ast.parse((_ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("path", "name"), _NAMED)
def test_a_promise_names_a_test_that_is_there(path: str, name: str) -> None:
    assert name in _tests(path)


def test_each_promise_names_a_test() -> None:
    promises = re.findall(r"^- .*(?:\n  .*)*", _PROMISED, flags=re.MULTILINE)
    assert len(promises) >= 25
    assert [promise for promise in promises if "::test_" not in promise] == []


def test_each_part_about_an_attacker_names_tests() -> None:
    parts = _PROMISED.split("\n### ")[1:]
    assert len(parts) >= 5
    assert [part.splitlines()[0] for part in parts if "::test_" not in part] == []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze measures it")
@pytest.mark.parametrize(
    ("sudo", "hardening", "words"),
    [
        (False, True, r"gives the unit ([\d.]+) of 10"),
        (True, True, r"`kraken_agent_sudo` ([\d.]+),"),
        (False, False, r"without `kraken_agent_hardening` ([\d.]+)\."),
    ],
)
def test_the_unit_is_confined_as_well_as_the_page_says(sudo: bool, hardening: bool, words: str, tmp_path: Path) -> None:
    spec = AgentSpec(
        "", "/opt/kraken", "kraken-agent", "kraken", "kraken", "/usr/bin/python3", {}, sudo=sudo, hardening=hardening
    )
    unit = tmp_path / "kraken-agent.service"
    unit.write_text(systemd.unit_text(spec))
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"exposure level for \S+: ([\d.]+)", said)
    promised = re.search(words, " ".join(_PAGE.split()))
    assert found
    assert promised
    # Other versions of systemd weigh a little differently.
    assert float(found[1]) <= float(promised[1]) + 0.5
