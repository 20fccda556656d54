"""Which image a lab host is made of; making it is a test of its own, with an engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kraken_fleet.errors import LabError
from kraken_fleet.lab.driver import load_driver
from kraken_fleet.lab.host_image import RELEASES, Recipe, archive_of


def test_bookworm_with_python_and_git_is_the_default() -> None:
    assert Recipe() == Recipe.parse("bookworm")
    assert {"python3", "git", "systemd", "openssh-server"} <= set(Recipe().packages)


@pytest.mark.parametrize("release", RELEASES)
def test_a_bare_host_has_no_python_and_an_image_of_its_own(release: str) -> None:
    full, bare = Recipe.parse(release), Recipe.parse(f"{release}-bare")
    assert not {"python3", "git"} & set(bare.packages)
    assert full.image != bare.image
    assert bare.image.startswith(f"kraken-fleet/lab-host:{release}-bare-")


def test_the_image_is_named_after_what_goes_into_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Recipe().image
    assert Recipe().image == before
    monkeypatch.setattr("kraken_fleet.lab.host_image._SSHD", "PermitRootLogin yes\n")
    assert Recipe().image != before


@pytest.mark.parametrize("name", ["jessie", "bookworm-small", "-bare"])
def test_an_unknown_host_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(LabError, match="Choose bookworm, trixie, bullseye"):
        Recipe.parse(name)


def test_a_variant_that_a_driver_does_not_have_is_refused() -> None:
    with pytest.raises(LabError, match="has no variant 'trixie'"):
        load_driver("local:trixie")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_build_that_breaks_off_leaves_nothing_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "debootstrap"
    program.write_text('#!/bin/sh\nmkdir "$4" && mount -t tmpfs none "$4" && echo "it broke off at $4" && exit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("kraken_fleet.lab.host_image.CACHE", tmp_path / "cache")
    with pytest.raises(LabError, match="it broke off at /") as told:
        archive_of(Recipe())
    tree = str(told.value).partition("it broke off at ")[2].split()[0].rstrip(".")
    assert tree.endswith("/root")
    assert tree not in Path("/proc/mounts").read_text()
    assert not Path(tree).parent.exists()
