"""Writes the reference part of the site into docs/reference: `make docs` runs it before it builds the site.

- collection/: the roles, modules and plugins, out of their documentation, by antsibull-docs.
- commands.md: `kraken-fleet` and all its commands, out of their options, by Typer.
- changelog.rst: the changelog, with what is not released yet.
- contributing.md, reporting.md and roles/: pages that stand elsewhere in the repository.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import typer
from conf import COPIED_PAGES
from typer.cli import get_docs_for_click

from kraken_fleet.cli.main import COMMANDS, app, load

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
_UNRELEASED = "What the next release will bring."
# Stands for the next release, which has no version yet.
_LATER = "999.0.0"
_CONTENTS = re.compile(r"^\.\. contents::\n(?:   :.*\n)*", re.MULTILINE)


def _with_own_programs() -> dict[str, str]:
    """Return an environment in which programs find those beside Python, such as ansible-doc."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def collection(target: Path) -> None:
    """Write a page for each role, module and plugin.

    Raises:
        subprocess.CalledProcessError: the documentation of one of them is not valid.
    """
    target.mkdir(parents=True)
    environment = _with_own_programs() | {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")}
    command = ["antsibull-docs", "collection", "--fail-on-error", "--use-current", "--squash-hierarchy", "--dest-dir"]
    subprocess.run([*command, str(target), "kraken_ci.fleet"], env=environment, check=True, stdout=subprocess.DEVNULL)
    for page in target.glob("*.rst"):  # the theme shows a table of contents beside each page, and refuses a second one
        page.write_text(_CONTENTS.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")


def commands() -> str:
    """Write the help of every command, as Markdown."""
    root = typer.main.get_command(app)
    parts = ["# Commands\n", f"{root.help}\n", f"{root.epilog}\n"]
    for name in COMMANDS:
        command = load(name)
        context = typer.Context(command, info_name=name)
        parts.append(get_docs_for_click(obj=command, ctx=context, indent=1, name=name, call_prefix="kraken-fleet"))
    return "\n".join(parts)


def pages(target: Path) -> None:
    """Copy the pages that the site shows and that stand elsewhere in the repository."""
    for page, name in COPIED_PAGES.items():
        shutil.copyfile(ROOT / page, target / name)
    roles = sorted((ROOT / "roles").glob("*/README.md"))
    (target / "roles").mkdir()
    for readme in roles:
        shutil.copyfile(readme, target / "roles" / f"{readme.parent.name}.md")
    listed = "\n".join(readme.parent.name for readme in roles)
    (target / "roles" / "index.md").write_text(f"# Roles\n\n```{{toctree}}\n{listed}\n```\n", encoding="utf-8")


def changelog(target: Path) -> None:
    """Write the changelog as a release would make it now."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in ("changelogs", "plugins", "roles", "galaxy.yml", "CHANGELOG.rst"):
            (shutil.copytree if (ROOT / part).is_dir() else shutil.copyfile)(ROOT / part, copy / part)
        if list((copy / "changelogs" / "fragments").glob("*.yaml")):
            (copy / "changelogs" / "fragments" / "summary.yaml").write_text(f"---\nrelease_summary: {_UNRELEASED}\n")
            command = ["antsibull-changelog", "release", "--version", _LATER, "--date", "2000-01-01"]
            subprocess.run(command, cwd=copy, env=_with_own_programs(), check=True)
        text = (copy / "CHANGELOG.rst").read_text(encoding="utf-8")
    head = f"v{_LATER}\n{'=' * (len(_LATER) + 1)}\n"
    target.write_text(text.replace(head, f"Unreleased\n{'=' * len('Unreleased')}\n"), encoding="utf-8")


def main() -> None:
    shutil.rmtree(REFERENCE, ignore_errors=True)
    REFERENCE.mkdir()
    collection(REFERENCE / "collection")
    (REFERENCE / "commands.md").write_text(commands(), encoding="utf-8")
    pages(REFERENCE)
    changelog(REFERENCE / "changelog.rst")


if __name__ == "__main__":
    main()
