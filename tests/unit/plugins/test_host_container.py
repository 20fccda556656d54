"""The definition of an agent's container: what is refused, and what makes it another one."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import (
    container,
    container_address,
    images,
    lock,
    others,
)
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import OURS, UPSTREAM
from ansible_collections.kraken_ci.fleet.plugins.modules import agent_container

WANTED = container.Container("kraken-agent", "kraken-fleet/kkagent:0.1.0", {"KRAKEN_SERVER_ADDR": "http://k:6363"})


@pytest.mark.parametrize("image", ["kkagent", "kkagent:latest", "registry.example:5000/kkagent"])
def test_an_image_without_a_version_is_refused(image: str) -> None:
    with pytest.raises(HostError, match="not pinned"):
        images.pinned(image)


def test_a_leading_v_is_refused_with_the_right_spelling() -> None:
    with pytest.raises(HostError, match=r"write kkci/agent:1\.7\.36"):
        images.pinned("kkci/agent:v1.7.36")


@pytest.mark.parametrize("image", ["registry.example:5000/kkagent:1.7.36", "kkagent@sha256:" + "0" * 64])
def test_a_pinned_image_is_taken(image: str) -> None:
    assert images.pinned(image) == image


def test_only_what_is_fixed_at_creation_makes_another_container() -> None:
    assert container.digest(WANTED._replace(drain_seconds=1)) == container.digest(WANTED)
    others: dict[str, Any] = {"image": "a:2", "docker_socket": True, "restart_policy": "no", "environment": {}}
    for name, value in others.items():
        assert container.digest(WANTED._replace(**{name: value})) != container.digest(WANTED)


def test_a_variable_of_several_lines_is_refused_before_docker_is_asked() -> None:
    with pytest.raises(HostError, match="one line"):
        list(container.present(WANTED._replace(environment={"A": "b\nKRAKEN_SERVER_ADDR=evil"})))


UPSTREAMS_COMMAND = ["/bin/sh", "-c", "./kkagent run -s http://${KRAKEN_SERVER_ADDR}/bk/backend -d /tmp/kk"]
PARAMETERS: dict[str, Any] = {
    "name": "kraken-agent", "image": "krakenci/agent:1.7.36", "address": "", "network": "host",
    "server_url": "http://127.0.0.1:6363", "environment": {}, "restart_policy": "always", "docker_socket": False,
    "drain_seconds": 5, "tools_dirs": [], "ca_bundle": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "agent"),
    [
        ({"Cmd": UPSTREAMS_COMMAND}, UPSTREAM),
        ({"Cmd": UPSTREAMS_COMMAND, "Labels": {"kraken-fleet.agent": "ours"}}, OURS),
        ({"Entrypoint": ["python3", "/opt/kraken/kkagent", "run"], "Cmd": None, "Labels": None}, OURS),
    ],
)
def test_the_label_or_the_command_of_an_image_says_whose_agent_it_has(
    config: dict[str, Any], agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"ls": "1234\n", "inspect": json.dumps([{"Config": config}])}
    monkeypatch.setattr(images, "_docker", lambda *arguments: answers[arguments[1]])
    assert images.agent_of_image("image:1", pull=False) == agent


def test_an_image_that_is_not_there_is_taken_for_ours_until_it_is_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_docker", lambda *_arguments: "")
    assert images.agent_of_image("image:1", pull=False) == OURS


def test_krakens_own_image_gets_host_and_port_and_no_variable_that_it_does_not_know() -> None:
    found = container.wanted_of(PARAMETERS, UPSTREAM).environment
    assert found == {"KRAKEN_SERVER_ADDR": "127.0.0.1:6363"}
    assert container.wanted_of(PARAMETERS).environment["KRAKEN_SERVER_ADDR"] == "http://127.0.0.1:6363"
    assert container_address.address_of(PARAMETERS, UPSTREAM) == "127.0.0.1"


def test_what_krakens_own_image_cannot_do_is_refused_with_the_reason() -> None:
    with pytest.raises(HostError, match="over http only"):
        container.wanted_of({**PARAMETERS, "server_url": "https://127.0.0.1"}, UPSTREAM)
    with pytest.raises(HostError, match=r"claims 127\.0\.0\.1"):
        container.wanted_of({**PARAMETERS, "address": "192.0.2.1"}, UPSTREAM)
    with pytest.raises(HostError, match="cannot run Docker jobs in the network host"):
        container.wanted_of({**PARAMETERS, "docker_socket": True}, UPSTREAM)
    in_own = {**PARAMETERS, "docker_socket": True, "network": "builds", "address": "172.31.77.9"}
    assert container.wanted_of(in_own, UPSTREAM).docker_socket
    assert container.wanted_of({**PARAMETERS, "docker_socket": True}).docker_socket


def test_krakens_own_agent_gets_the_address_of_the_inventory_where_docker_gives_one() -> None:
    wanted = {**PARAMETERS, "address": "172.31.77.9"}
    for network, address in (("lab_net", "172.31.77.9"), ("bridge", ""), ("container:x", "")):
        assert container.wanted_of({**wanted, "network": network}, UPSTREAM).address == address
    ours = container.wanted_of({**wanted, "network": "lab_net"})
    assert (ours.address, ours.environment["KRAKEN_AGENT_ADDRESS"]) == ("", "172.31.77.9")
    theirs = container.wanted_of({**wanted, "network": "lab_net"}, UPSTREAM)
    assert container.digest(theirs) != container.digest(theirs._replace(address="172.31.77.8"))


def in_network(mode: str, **networks: str) -> dict[str, Any]:
    """What Docker says of a container of Kraken's own agent, with its address in each network."""
    labels = {"kraken-fleet.definition": "x", "kraken-fleet.agent": "upstream"}
    config = {"Image": "agent:1", "Labels": labels, "Env": ["KRAKEN_SERVER_ADDR=127.0.0.1:6363"]}
    found = {name: {"IPAddress": address} for name, address in networks.items()}
    return {"Config": config, "HostConfig": {"NetworkMode": mode}, "NetworkSettings": {"Networks": found}}


def test_the_address_of_krakens_own_agent_is_its_containers_and_another_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It joins lab_net when it has a Docker job, and goes on under the address that it had.
    joined = in_network("bridge", bridge="172.17.0.5", lab_net="172.20.0.2")
    assert container_address.address_in_network(joined) == "172.17.0.5"
    assert container_address.address_in_network(in_network("default", bridge="172.17.0.5")) == "172.17.0.5"
    assert container_address.address_in_network(in_network("host", host="")) == ""
    container_address.refuse_other_address(joined, "172.17.0.5")
    container_address.refuse_other_address(in_network("host", host=""), "127.0.0.1")
    with pytest.raises(HostError, match=r"is 172\.17\.0\.2, and Docker gave the container the address 172\.17\.0\.5"):
        container_address.refuse_other_address(joined, "172.17.0.2")
    monkeypatch.setattr(container, "found", lambda _name: joined)
    assert container.address_of_container({**PARAMETERS, "network": "bridge"}) == "172.17.0.5"


def test_a_container_of_krakens_own_agent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"kraken-fleet.definition": "x", "kraken-fleet.agent": "upstream"}
    asked: list[list[str]] = []
    monkeypatch.setattr(container, "found", lambda _name: {"Config": {"Labels": labels}})

    def noted(command: list[str], **_options: Any) -> str:
        asked.append(command)
        return ""

    monkeypatch.setattr(container, "run", noted)
    for change in container.absent("kraken-agent", 300):
        change.apply()
    assert ["docker", "stop", "--time", "5", "kraken-agent"] in asked
    labels["kraken-fleet.agent"] = "ours"
    for change in container.absent("kraken-agent", 300):
        change.apply()
    assert ["docker", "stop", "--time", "330", "kraken-agent"] in asked


class Engine:
    """A Docker engine with one container, or none."""

    def __init__(self, image: str) -> None:
        labels = {"kraken-fleet.definition": "x"}
        config = {"Image": image, "Labels": labels, "Env": ["KRAKEN_AGENT_ADDRESS=192.0.2.9"]}
        host = {"NetworkMode": "host", "RestartPolicy": {"Name": "always"}}
        self.container = {"Config": config, "HostConfig": host, "State": {"Running": True}} if image else None

    def found(self, name: str) -> dict[str, Any] | None:
        return self.container if name == "kraken-agent" else None


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The parameters of the module, on a host with a container of another image; changing anything fails."""
    monkeypatch.setattr(container, "found", Engine("kkagent:1.0").found)
    monkeypatch.setattr(images, "agent_of_image", lambda _image, pull: OURS)
    monkeypatch.setattr(others, "on_host", lambda _places: [])
    defaults = {name: option.get("default") for name, option in agent_container.ARGUMENTS.items()}
    return {**defaults, "image": "kkagent:2.0", "server_url": "http://127.0.0.1:6363"}


def test_a_prediction_changes_nothing_and_names_the_image_that_is_there(module: dict[str, Any]) -> None:
    found = agent_container.bring_about({**module, "predict": True}, check=False)
    assert found["changes"][0] == "recreate container kraken-agent from image kkagent:1.0 to kkagent:2.0"
    assert (found["changed"], found["agents"][0]["release"]) == (False, "kkagent:1.0")


def test_whoever_removes_a_container_learns_the_address_that_its_agent_had(module: dict[str, Any]) -> None:
    found = agent_container.bring_about({**module, "state": "absent"}, check=True)
    assert found["changes"] == ["remove container kraken-agent"]
    assert found["agents"][0]["address"] == "192.0.2.9"


def test_a_second_deploy_of_a_container_is_told_who_works_on_it(module: dict[str, Any]) -> None:
    with lock.held("container kraken-agent", 0):
        with pytest.raises(HostError, match=rf"Another deploy works on this host: process {os.getpid()} of"):
            agent_container.bring_about({**module, "lock_timeout": 0}, check=False)
        assert agent_container.bring_about(module, check=True)["changed"], "check mode needs no lock"
