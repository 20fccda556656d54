"""Which image a lab host is made of; making it is a test of its own, with an engine."""

from __future__ import annotations

import pytest

from kraken_fleet.errors import LabError
from kraken_fleet.lab.driver import load_driver
from kraken_fleet.lab.host_image import RELEASES, Recipe


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
