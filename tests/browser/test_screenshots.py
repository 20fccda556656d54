"""The pictures in docs/screenshots are of the console as it is: what its pages consist of is beside them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.screenshots import SCHEMES, WIDTHS, main

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]


def _texts(folder: Path) -> dict[str, str]:
    return {file.stem: file.read_text(encoding="utf-8") for file in folder.glob("*.txt")}


def _width(picture: Path) -> int:
    """The width in pixels, out of the first bytes of a PNG."""
    return int(struct.unpack(">I", picture.read_bytes()[16:20])[0])


def test_the_pages_are_as_when_their_pictures_were_taken(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRAKEN_FLEET_STATE_DIR", str(tmp_path / "state"))
    main(browser, tmp_path / "anew", SCHEMES[:1], WIDTHS[:1])
    assert _texts(tmp_path / "anew") == _texts(PICTURES), "run `make screenshots`, and look"


def test_each_page_has_a_picture_of_each_width_and_colours() -> None:
    wanted = {
        f"{name}{suffix}-{scheme}": width for name in _texts(PICTURES) for width, suffix in WIDTHS for scheme in SCHEMES
    }
    assert {picture.stem: _width(picture) for picture in PICTURES.glob("*.png")} == wanted
