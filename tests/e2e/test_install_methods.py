"""Agents installed in other ways than from our bundle, through the deploy playbook, on a real Docker engine."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kraken_fleet.bundle.image import build_image
from kraken_fleet.errors import UsageError
from tests.background import serving

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e.container_images import WITH_PYTHON, docker_images  # noqa: F401 - the fixture is used by name
from tests.e2e.loopback_fleet import Fleet

pytestmark = pytest.mark.docker

IMAGE = "kraken-fleet-test/kkagent:0.0.1"
NAME = "kraken-agent-methods-test"


class ServesItsAgent(SimpleHTTPRequestHandler):
    """A Kraken server as far as somebody sees it who takes the agent from it: files, and the agents' endpoint."""

    def do_GET(self) -> None:
        if self.path == "/backend":
            self.send_error(405)  # as Kraken answers a GET of it
        else:
            super().do_GET()


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def image(docker_images: None) -> Iterator[str]:  # noqa: F811 - the imported fixture
    assert build_image(IMAGE, base=WITH_PYTHON).startswith("sha256:")
    yield IMAGE
    docker("image", "rm", "--force", IMAGE)


@pytest.fixture
def fleet(image: str, new_fleet: Callable[..., Fleet]) -> Iterator[Fleet]:
    """One host whose agent is to be a container in the network of this machine."""
    made = new_fleet("boxed")
    made.host("boxed").update(kraken_agent_install_method="docker", kraken_agent_image=image, kraken_agent_unit=NAME)
    # The image decides these: what the group of hosts sets would be refused.
    made.host("boxed").pop("kraken_agent_dir", None)
    made.host("boxed").update(kraken_agent_user="kraken", kraken_agent_allow_root=False)
    yield made
    subprocess.run(["docker", "rm", "--force", NAME, f"{NAME}-new"], capture_output=True, check=False)


def test_a_container_is_deployed_registered_kept_recreated_and_removed(fleet: Fleet) -> None:
    predicted = fleet.play("deploy-agents.yml", "--check", "--diff", "--tags", "agent")
    assert (predicted.code, predicted.changed) == (0, {"boxed": 1}), predicted.text
    assert f"+image {IMAGE}" in predicted.diffs

    first = fleet.play("deploy-agents.yml", "--skip-tags", "verify")
    assert first.code == 0, first.text
    (agent,) = fleet.agents().values()
    assert agent.authorized
    made = docker("inspect", "--format", "{{.Id}} {{.HostConfig.RestartPolicy.Name}}", NAME)
    assert made.endswith(" unless-stopped")

    again = fleet.play("deploy-agents.yml", "--skip-tags", "verify")
    assert (again.code, again.changed) == (0, {"boxed": 0}), again.text

    fleet.host("boxed")["kraken_agent_environment"] = {"https_proxy": "http://me:s3cret@proxy.example:3128"}
    other = fleet.play("deploy-agents.yml", "--diff", "--tags", "agent")
    assert (other.code, other.changed) == (0, {"boxed": 1}), other.text
    assert "s3cret" not in other.text
    assert docker("inspect", "--format", "{{.Id}}", NAME) not in made

    fleet.host("boxed")["kraken_agent_image"] = "kraken-fleet-test/kkagent:v0.0.1"
    refused = fleet.play("deploy-agents.yml", "--tags", "agent")
    assert refused.failed == {"boxed": True}
    assert "write kraken-fleet-test/kkagent:0.0.1" in refused.message
    assert docker("inspect", "--format", "{{.State.Running}}", NAME) == "true"

    removed = fleet.play("remove-agents.yml")
    assert removed.code == 0, removed.text
    assert docker("ps", "--all", "--quiet", "--filter", f"name={NAME}") == ""
    assert fleet.agents() == {}


@pytest.mark.parametrize("tag", ["kkagent", "kkagent:latest", "kkagent:v1.7.36"])
def test_an_image_is_not_built_under_a_moving_or_misspelt_version(tag: str) -> None:
    with pytest.raises(UsageError):
        build_image(tag, base=WITH_PYTHON)


@pytest.mark.parametrize("download", ["host", "controller"])
def test_the_agent_that_a_server_serves_is_installed_once(
    download: str, tmp_path: Path, new_fleet: Callable[..., Fleet]
) -> None:
    fleet = new_fleet("served")
    folder = tmp_path / "www" / "bk" / "install"
    folder.mkdir(parents=True)
    for blob, name in (("agent", "kkagent"), ("tool", "kktool")):
        (folder / blob).write_bytes((tmp_path / "bundle" / name).read_bytes())
    handler = partial(ServesItsAgent, directory=str(tmp_path / "www"))
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        fleet.host("served").update(
            kraken_agent_source="server",
            kraken_agent_download=download,
            kraken_agent_server_url=f"http://127.0.0.1:{server.server_port}",
            kraken_agent_service_state="stopped",
        )
        played = [fleet.play("deploy-agents.yml", "--tags", "agent") for _ in range(2)]
    assert [one.code for one in played] == [0, 0], played[0].text
    assert [one.changed["served"] for one in played] == [1, 0]
    installed = (fleet.home("served") / "current" / "kkagent").read_bytes()
    assert hashlib.sha256(installed).digest() == hashlib.sha256((folder / "agent").read_bytes()).digest()


def test_the_server_that_serves_no_agent_fails_the_host_with_the_cause(new_fleet: Callable[..., Fleet]) -> None:
    fleet = new_fleet("unserved")
    fleet.host("unserved").update(kraken_agent_source="server", kraken_agent_server_url=f"{fleet.server.url}/elsewhere")
    played = fleet.play("deploy-agents.yml", "--tags", "agent")
    assert played.failed == {"unserved": True}
    assert "The server does not give its agent" in played.message
    assert not fleet.home("unserved").exists()
