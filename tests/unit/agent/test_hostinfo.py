"""The agent says which release it is."""

from __future__ import annotations

from pathlib import Path

from kraken_agent import __version__, hostinfo
from kraken_agent.config import Config


def test_host_info_names_the_agents_release(tmp_path: Path) -> None:
    options = {"server": "http://127.0.0.1:1", "data_dir": str(tmp_path)}
    assert hostinfo.collect(Config(options, {}), {}, {})["kraken_fleet_version"] == __version__
