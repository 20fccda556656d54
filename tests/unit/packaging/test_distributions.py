"""What the wheel and the source distribution hold."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with both. The wheel is built out of the source distribution, as others would build it."""
    where = tmp_path_factory.mktemp("distributions")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(where), str(_ROOT)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return where


@pytest.fixture(scope="module")
def source(built: Path) -> set[str]:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(built.glob("*.whl")))


def test_the_source_has_no_tests_and_no_pictures(source: set[str]) -> None:
    assert {name for name in source if name.startswith("tests/") or name.endswith(".png")} == set()
    assert {"README.md", "LICENSE", "CHANGELOG.md", "docs/agent.md", "hatch_build.py", "galaxy.yml"} <= source


def test_the_wheel_built_from_the_source_has_every_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    shown = subprocess.run(
        ["git", "ls-files", "kraken_fleet", "agent/kraken_agent", "plugins", "roles", "playbooks", "meta"],
        cwd=_ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    there = set(wheel.namelist())
    collection = "ansible_collections/kraken_ci/fleet"
    wanted = {
        name.removeprefix("agent/") if name.startswith(("kraken_fleet/", "agent/")) else f"{collection}/{name}"
        for name in shown.stdout.splitlines()
        if (_ROOT / name).exists()
    }
    assert wanted - there == set()
    assert "kraken_fleet/py.typed" in there


def test_the_package_page_has_author_links_and_classifiers(wheel: zipfile.ZipFile) -> None:
    metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    lines = wheel.read(metadata).decode().splitlines()
    assert "Author: kraken-fleet contributors" in lines
    assert "Description-Content-Type: text/markdown" in lines
    assert "Classifier: Typing :: Typed" in lines
    labels = {line.partition(": ")[2].partition(",")[0] for line in lines if line.startswith("Project-URL: ")}
    assert labels == {"Repository", "Documentation", "Changelog", "Issues"}
