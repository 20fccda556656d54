"""The object store from inside a container, by our agent at the embedded server and at the unmodified one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.agent_at_server import AgentAtServer, agent_at, embedded_server, real_kraken_server

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e.container_images import MINIMAL, WITH_PYTHON, docker_images  # noqa: F401 - the fixture is used by name
from tests.s3_server import s3_server
from tests.tcp_relay import tcp_relay

SERVERS = ["embedded", pytest.param("real", marks=pytest.mark.real_server)]
WRITE = "mkdir -p out/deep deps && hostname >out/deep/report.txt && echo kept >deps/lib.txt && cp out/deep/report.txt ."
PACK = """\
printf 'import words\\ndef run(step):\\n    print(words.TEXT)\\n    return 0, ""\\n' >greeter.py
mkdir vendor
echo "TEXT = 'hello from the store'" >vendor/words.py
python3 -m zipfile -c out/tool.zip greeter.py vendor
"""
FIRST: list[dict[str, Any]] = [
    {"tool": "shell", "name": "write", "cmd": f"{WRITE} && cat report.txt"},
    {"tool": "shell", "name": "pack", "script": PACK},
    {"tool": "artifacts", "name": "upload", "source": ["out/**", "report.txt"]},
    {"tool": "cache", "name": "save", "action": "save", "key": "deps", "paths": ["deps"]},
    {"tool": "shell", "name": "lose", "cmd": "rm -r deps"},
    {"tool": "cache", "name": "restore", "action": "restore", "keys": ["deps"]},
    {"tool": "shell", "name": "have again", "cmd": "cat deps/lib.txt"},
]

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_images"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module", params=SERVERS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentAtServer]:
    """An agent whose containers reach the store by another address than the server's."""
    home = tmp_path_factory.mktemp("site")
    if request.param == "real":
        server = real_kraken_server(request.getfixturevalue("real_server"))
        store = server.api("GET", "/settings").body["general"]["minio_addr"]
        with tcp_relay(docker_address(), store) as address, agent_at(server, home, KRAKEN_MINIO_ADDR=address) as made:
            yield made
        return
    (home / "store").mkdir()
    with (
        s3_server(home / "store") as s3,
        embedded_server(home / "server", s3) as server,
        tcp_relay(docker_address(), s3.address) as address,
        agent_at(server, home / "agent", KRAKEN_MINIO_ADDR=address) as made,
    ):
        for kind in ("", "-cache"):
            s3.client().make_bucket(f"{made.branch:08d}{kind}")
        yield made


def docker_address() -> str:
    """This machine as containers see it; an engine that found its bridge made already does not name the gateway."""
    command = ["docker", "run", "--rm", MINIMAL, "/bin/ip", "route"]
    routes = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    default = next(line.split() for line in routes.splitlines() if line.startswith("default via "))
    return default[2]


def test_artifacts_cache_and_tools_go_to_the_store_and_come_back_in_a_container(site: AgentAtServer) -> None:
    site.run({"first": FIRST}, system=WITH_PYTHON, executor="docker")
    first = site.outcomes["first"]
    assert first.failures() == []
    assert first.lines("have again") == ["kept"]
    store = f"minio:{site.branch:08d}/{site.flow}/{first.run}/out/tool.zip"
    second = [
        {"tool": "artifacts", "name": "download", "action": "download", "source": "out", "destination": "got"},
        {"tool": "shell", "name": "look", "cmd": "cat got/out/deep/report.txt; hostname"},
        {"tool": "local_tool", "name": "tool in the store", "tool_location": store, "tool_entry": "greeter"},
    ]
    site.run({"second": second}, system=WITH_PYTHON, executor="docker")
    done = site.outcomes["second"]
    assert done.failures() == []
    # A container's name is its own, so these steps ran in two containers.
    written, own = done.lines("look")
    assert [written] == first.lines("write") != [own]
    assert done.lines("tool in the store") == ["hello from the store"]
