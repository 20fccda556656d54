"""What all tests share: the option that lets them use a real Kraken server."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from real_server.fixtures import real_server

__all__ = ["real_server"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--real-server",
        action="store_true",
        default=bool(os.environ.get("KRAKEN_REAL_SERVER_URL")),
        help="also run what needs the unmodified krakenci-server: the one at KRAKEN_REAL_SERVER_URL, or else the one "
        "that `python tests/real_server up` left running, or else one that is brought up for the tests",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without the option the tests of the real server are deselected, which pytest's summary says."""
    if config.getoption("--real-server"):
        return
    deselected = [item for item in items if item.get_closest_marker("real_server")]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if item not in set(deselected)]
