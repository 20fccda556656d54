"""What kraken-fleet needs: lower bounds above the holes that are known, and files that are pinned by their hashes."""

from __future__ import annotations

import itertools
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

_ROOT = Path(__file__).parents[3]
_PROJECT: Mapping[str, Any] = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_PINNED = sorted((_ROOT / "requirements").glob("*.txt"))
_PYTHONS = ("3.11.2", "3.12.1", "3.13.0", "3.14.0")
# The first version without the last hole that is known of each: what reads bytes of others, or keeps secrets. One that
# pyproject.toml does not name would come in whatever version is there already.
_FIRST_WITHOUT = {
    "ansible-core": ("2.18.1", "CVE-2024-11079"),
    "certifi": ("2024.7.4", "CVE-2024-39689"),
    "cryptography": ("46.0.7", "CVE-2026-39892"),
    "h11": ("0.16.0", "CVE-2025-43859"),
    "idna": ("3.7", "CVE-2024-3651"),
    "jinja2": ("3.1.6", "CVE-2025-27516"),
    "paramiko": ("3.4.0", "CVE-2023-48795"),
    "pycryptodome": ("3.19.1", "CVE-2023-52323"),
    "python-dotenv": ("1.2.2", "CVE-2026-28684"),
    "python-multipart": ("0.0.26", "CVE-2026-40347"),
    "pyyaml": ("5.4", "CVE-2020-14343"),
    "requests": ("2.33.0", "CVE-2026-25645"),
    "starlette": ("0.49.1", "CVE-2025-62727"),
    "urllib3": ("2.6.3", "CVE-2026-21441"),
}


def of_users() -> Iterator[Requirement]:
    """What a user's `pip install kraken-fleet[all]` asks for."""
    project = _PROJECT["project"]
    for line in itertools.chain(project["dependencies"], *project["optional-dependencies"].values()):
        wanted = Requirement(line)
        if wanted.name != project["name"]:
            yield wanted


def of_developers() -> Iterator[Requirement]:
    """What `make setup` installs besides."""
    groups = _PROJECT["dependency-groups"]
    return (Requirement(line) for name in ("dev", "test", "checkout") for line in groups[name] if isinstance(line, str))


def lower_bound(wanted: Requirement) -> Version:
    (bound,) = (each.version for each in wanted.specifier if each.operator == ">=")
    return Version(bound)


def pins(file: Path) -> list[tuple[Requirement, int]]:
    """The requirements of a file with how many hashes each has."""
    text = re.sub(r"^ *#.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split("--hash=sha256:") for line in text.splitlines() if line.strip()]
    return [
        (Requirement(line[0].strip()), len([one for one in line[1:] if re.fullmatch(r"[0-9a-f]{64} *", one)]))
        for line in lines
    ]


def holds(pinned: Requirement, python: str) -> bool:
    environment: dict[str, Any] = {
        **default_environment(),
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
    }
    return pinned.marker is None or pinned.marker.evaluate(environment)


@pytest.mark.parametrize("wanted", [*of_users()], ids=str)
def test_a_dependency_has_a_lower_bound_above_the_holes_that_are_known(wanted: Requirement) -> None:
    first, hole = _FIRST_WITHOUT.get(canonicalize_name(wanted.name), ("0", ""))
    assert lower_bound(wanted) >= Version(first), f"{wanted} can bring {hole}"


def test_what_has_had_holes_is_named_with_a_bound() -> None:
    assert set(_FIRST_WITHOUT) <= {canonicalize_name(wanted.name) for wanted in of_users()}


@pytest.mark.parametrize("file", _PINNED, ids=lambda file: file.name)
def test_each_pinned_file_has_one_version_and_its_hashes_and_names_no_place(file: Path) -> None:
    for pinned, hashes in pins(file):
        assert [each.operator for each in pinned.specifier] == ["=="], pinned
        assert hashes, f"{pinned} has no hash"
    text = file.read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index-url" not in text


@pytest.mark.parametrize("python", _PYTHONS)
def test_the_pinned_versions_are_those_that_the_project_asks_for(python: str) -> None:
    pinned: dict[str, list[str]] = {}
    for one, _ in pins(_ROOT / "requirements" / "dev.txt"):
        if holds(one, python):
            pinned.setdefault(canonicalize_name(one.name), []).extend(each.version for each in one.specifier)
    for wanted in (*of_users(), *of_developers()):
        (version,) = pinned.get(canonicalize_name(wanted.name), ["none"])
        assert version in wanted.specifier, f"{wanted} is pinned to {version}: run `make lock`"


@pytest.mark.parametrize("group", ["kkci", "uv", "windows"])
def test_a_group_that_is_installed_apart_is_pinned_as_it_is_asked_for(group: str) -> None:
    pinned = {one.name: next(iter(one.specifier)).version for one, _ in pins(_ROOT / "requirements" / f"{group}.txt")}
    for line in _PROJECT["dependency-groups"][group]:
        wanted = Requirement(line)
        assert pinned[wanted.name] in wanted.specifier, f"{wanted} is not pinned: run `make lock`"


def test_setup_installs_nothing_whose_hash_is_not_known() -> None:
    """What make would run, as if nothing were there yet."""
    command = ["make", "--dry-run", "--always-make", "--no-print-directory", "setup"]
    recipe = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    installs = [line for line in recipe.splitlines() if "pip install" in line]
    assert [line.partition(" requirements/")[2].split()[0] for line in installs] == ["demo.txt", "dev.txt"]
    for line in "\n".join(installs).replace("&&", "\n").splitlines():
        assert "--require-hashes" in line or "--no-deps --no-build-isolation" in line, line
    for program in ("windows_collection", "kraken_client"):
        assert "--require-hashes" in (_ROOT / "tests" / f"{program}.py").read_text(encoding="utf-8")


def test_the_demo_runs_with_what_tests_run_with() -> None:
    demo, dev = (
        {(one.name, str(one.specifier), hashes) for one, hashes in pins(_ROOT / "requirements" / f"{name}.txt")}
        for name in ("demo", "dev")
    )
    assert demo < dev
