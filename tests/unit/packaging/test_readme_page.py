"""The README on the package's page, where it has no repository around it."""

from __future__ import annotations

import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from readme_renderer import markdown

ROOT = Path(__file__).resolve().parents[3]


class _Page(HTMLParser):
    """Collects where a page leads and which pictures it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.pictures: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        if tag == "a":
            self.links.append(given.get("href") or "")
        if tag == "img":
            self.pictures.append(given.get("src") or "")


@pytest.fixture(scope="module")
def project() -> dict[str, str]:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"name": found["name"], **found["urls"]}


@pytest.fixture(scope="module")
def page() -> _Page:
    shown = markdown.render((ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown is not None
    return _Page(shown)


def test_the_package_page_shows_headings_tables_and_code(page: _Page) -> None:
    assert {"h1", "h2", "table", "pre", "img"} <= page.tags


def test_links_of_the_package_page_lead_somewhere(page: _Page) -> None:
    addresses = [*page.links, *page.pictures]
    assert [each for each in addresses if not each.startswith(("https://", "#user-content-"))] == []


def test_files_of_the_repository_that_the_page_links_to_are_there(page: _Page, project: dict[str, str]) -> None:
    repository = project["Repository"]
    raw = repository.replace("https://github.com/", "https://raw.githubusercontent.com/")
    places = (f"{repository}/blob/main/", f"{repository}/tree/main/", f"{raw}/main/")
    named = [
        each.removeprefix(place).partition("#")[0]
        for each in (*page.links, *page.pictures)
        for place in places
        if each.startswith(place)
    ]
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_badges_say_what_the_package_says(page: _Page) -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python = package["requires-python"].removeprefix(">=")
    licence = package["license"].replace("-", "--").replace(" ", "_")
    badges = [each.rpartition("/")[2] for each in page.pictures if "shields.io" in each]
    assert badges == [f"python-{python}_or_newer-blue", f"licence-{licence}-blue"]
