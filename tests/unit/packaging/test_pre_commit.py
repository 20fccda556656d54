"""What pre-commit runs: commands of this project, which it need not fetch."""

from __future__ import annotations

import shlex
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
REPOSITORIES = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]


def test_hooks_fetch_nothing() -> None:
    assert {each["repo"] for each in REPOSITORIES} == {"local"}
    assert {hook["language"] for each in REPOSITORIES for hook in each["hooks"]} == {"system"}


def test_hooks_before_a_commit_are_commands_of_make_check() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    checked = makefile.partition("\ncheck:")[2].partition("done;")[0]
    for hook in (hook for each in REPOSITORIES for hook in each["hooks"]):
        program, *rest = shlex.split(hook["entry"])
        if hook.get("stages") == ["pre-push"]:
            assert [program, *rest] == ["make", "check"]
        else:
            assert " ".join([Path(program).name, *rest]) in checked, hook["id"]
