"""However the address of a server is written, every module takes it for the same server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.unit.plugins.task_runs import Stage

# What is written after host and port, and what of it an agent is given: a web front end may pass on only /bk.
SPELLINGS = {"": "", "/": "", "/api": "", "/bk": "/bk/", "/bk/": "/bk/", "/bk/api": "/bk/"}


def tasks(server: str, directory: Path) -> list[dict[str, Any]]:
    agent = {"dir": str(directory), "service_manager": "process", "source": "server", "server_url": server}
    settings = {"general": {"server_url": server}}
    return [
        {"kraken_ci.fleet.agent_info": {"server_url": server}},
        {"kraken_ci.fleet.server_settings": {"server_url": server, "settings": settings}},
        {"kraken_ci.fleet.service_addresses": {"server_url": server}},
        {"kraken_ci.fleet.agent_host": agent, "diff": True},
        {"kraken_ci.fleet.preflight": {"server_url": server, "strict": False}},
        {"ansible.builtin.debug": {"msg": f"{{{{ '{server}' | kraken_ci.fleet.server_address }}}}"}},
    ]


def test_every_module_reads_every_spelling_as_the_same_server(stage: Stage, tmp_path: Path) -> None:
    url = stage.server.url
    with stage.client as client:
        client.update_settings({"general": {"server_url": url, "clickhouse_addr": "192.0.2.7:9001"}})
    given = {url.removeprefix("http://"): url} | {f"{url}{path}": f"{url}{own}" for path, own in SPELLINGS.items()}
    results = iter(stage.play(*(task for one in given for task in tasks(one, tmp_path / "agent")), check=True))
    for server, agents in given.items():
        info, settings, addresses, host, preflight, read = (next(results) for _ in range(6))
        assert not [result["msg"] for result in (info, settings, addresses, host, preflight) if result["failed"]], (
            server
        )
        assert not settings["changed"], server
        assert addresses["clickhouse"]["address"] == "192.0.2.7:9001"
        environment = next(one["after"] for one in host["diff"] if "kraken.env" in one["after_header"])
        assert f"KRAKEN_SERVER_ADDR={agents}\n" in environment
        assert {one["check"]: one["ok"] for one in preflight["findings"]}["http"], server
        assert (read["msg"]["root"], read["msg"]["agents"]) == (url, agents)
