"""What the wheel, the source distribution and the tarball for Galaxy hold."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from kraken_fleet import __version__

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
    assert {"README.md", "LICENSE", "CHANGELOG.rst", "docs/agent.md", "hatch_build.py", "galaxy.yml"} <= source


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


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as Galaxy would install it."""
    where = tmp_path_factory.mktemp("galaxy")
    programs = Path(sys.executable).parent
    tarball = where / f"kraken_ci-fleet-{__version__}.tar.gz"
    for arguments in (
        ["build", "--output-path", str(where), str(_ROOT)],
        # By force: Ansible finds the checkout's own collection, and would leave it at that.
        ["install", "--force", "--no-deps", "--collections-path", str(where), str(tarball)],
    ):
        command = [str(programs / "ansible-galaxy"), "collection", *arguments]
        done = subprocess.run(command, cwd=where, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return where / "ansible_collections" / "kraken_ci" / "fleet"


def test_the_tarball_for_galaxy_has_what_works_from_there_and_no_more(installed: Path) -> None:
    parts = {
        "CHANGELOG.rst", "FILES.json", "LICENSE", "LICENSES", "MANIFEST.json", "README.md", "SECURITY.md", "changelogs",
        "contrib", "docs", "inventories", "meta", "playbooks", "plugins", "roles",
    }  # fmt: skip
    assert {path.name for path in installed.iterdir()} == parts
    assert list(installed.rglob("*.png")) == []


def test_playbooks_of_the_installed_collection_run(installed: Path, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "--list-tasks", "-i", "localhost,"]
    done = subprocess.run(
        [*command, "kraken_ci.fleet.deploy_agents"],
        cwd=tmp_path,
        env=os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(installed.parents[2])},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"playbook: {installed}/playbooks/deploy_agents.yml" in done.stdout


def test_an_execution_environment_gets_the_package_of_this_version_and_ssh(installed: Path, tmp_path: Path) -> None:
    builder = str(Path(sys.executable).parent / "ansible-builder")
    definition = _ROOT / "contrib" / "execution-environment" / "execution-environment.yml"
    subprocess.run([builder, "create", "--file", str(definition), "--context", str(tmp_path / "context")], check=True)
    wanted = yaml.safe_load((tmp_path / "context" / "_build" / "requirements.yml").read_text())
    assert [each["name"] for each in wanted["collections"]] == ["kraken_ci.fleet"]
    command = [builder, "introspect", str(installed.parents[2])]
    found = yaml.safe_load(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    (package,) = [line for line in found["python"] if "kraken_ci.fleet" in line]
    assert package.startswith(f"kraken-fleet[docker,logs,s3,ssh]=={__version__} ")
    assert {line.split()[0] for line in found["system"] if "kraken_ci.fleet" in line} == {
        "openssh-client",
        "openssh-clients",
    }
