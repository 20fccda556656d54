"""What README and docs/ tell people to type does what they say: every block that is marked is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.page_surroundings import Surroundings, with_agents, with_bare_hosts
from tests.e2e.shell_session import Shell, shell
from tests.runnable_pages import ON_HOSTS, PAGES, UNTIL_STOPPED, Block, Command, blocks_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def _pages(*, on_hosts: bool) -> list[Path]:
    """The pages with blocks that are run, with or without hosts."""
    markers = {page: {block.marker for block in blocks_of(page) if block.runs} for page in PAGES}
    return [page for page, found in markers.items() if found and (ON_HOSTS in found) is on_hosts]


def _name(page: Path) -> str:
    return page.name


def _follow(page: Path, surroundings: Surroundings) -> None:
    with shell(surroundings.directory, surroundings.environment) as typing:
        for block in blocks_of(page):
            if block.file:
                surroundings.write(block.file, block.text)
            elif block.runs:
                _run(block, typing, surroundings)


def _run(block: Block, typing: Shell, surroundings: Surroundings) -> None:
    for one in block.commands:
        command = Command(surroundings.real(one.typed), surroundings.real(one.shown), one.code)
        if block.marker == UNTIL_STOPPED:
            typing.start(command)
        else:
            typing.run(command)


@pytest.mark.parametrize("page", _pages(on_hosts=False), ids=_name)
def test_the_commands_of_a_page_do_what_it_says(page: Path, tmp_path: Path) -> None:
    with with_agents(tmp_path) as surroundings:
        _follow(page, surroundings)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("page", _pages(on_hosts=True), ids=_name)
def test_the_commands_of_a_page_with_hosts_do_what_it_says(page: Path, tmp_path: Path) -> None:
    with with_bare_hosts(tmp_path, "local", "embedded") as surroundings:
        _follow(page, surroundings)


@pytest.mark.docker
@pytest.mark.real_server
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", _pages(on_hosts=True), ids=_name)
def test_the_same_on_real_hosts_with_the_unmodified_server(page: Path, tmp_path: Path) -> None:
    with with_bare_hosts(tmp_path, "docker", "krakenci") as surroundings:
        _follow(page, surroundings)
