"""The programs that tools run: the real ones where this machine has them, else scripts that write what those wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.real_server.plan import cache_directory

CASES = Path(__file__).resolve().parents[1] / "cases" / "tools"
# Made by tests/prepare_real.py.
ANGULAR_MODULES = cache_directory() / "angular" / "node_modules"


def put_projects(home: Path) -> None:
    """Copy the small projects that the programs are run on."""
    for name in ("go", "angular"):
        shutil.copytree(CASES / name, home / name)
    if ANGULAR_MODULES.is_dir():
        (home / "angular" / "node_modules").symlink_to(ANGULAR_MODULES)


def stand_ins(directory: Path) -> Path:
    """Make scripts in place of the programs that are missing; returns the directory, which belongs on PATH."""
    directory.mkdir()
    missing = {"npx": f"sed 's#/project/#'$PWD'/#' {CASES}/ng-lint.json"}
    if shutil.which("npx") and ANGULAR_MODULES.is_dir():
        del missing["npx"]
    for name, recorded in (("go", "go.jsonl"), ("cloc", "cloc.json")):
        if shutil.which(name) is None:
            missing[name] = f"cat {CASES / recorded}"
    for name, command in missing.items():
        (directory / name).write_text(f"#!/bin/sh\n{command}\n")
        (directory / name).chmod(0o755)
    return directory
