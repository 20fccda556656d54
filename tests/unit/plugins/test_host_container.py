"""The definition of an agent's container: what is refused, and what makes it another one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import container
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import OURS, UPSTREAM

WANTED = container.Container("kraken-agent", "kraken-fleet/kkagent:0.1.0", {"KRAKEN_SERVER_ADDR": "http://k:6363"})


@pytest.mark.parametrize("image", ["kkagent", "kkagent:latest", "registry.example:5000/kkagent"])
def test_an_image_without_a_version_is_refused(image: str) -> None:
    with pytest.raises(HostError, match="not pinned"):
        container.pinned(image)


def test_a_leading_v_is_refused_with_the_right_spelling() -> None:
    with pytest.raises(HostError, match=r"write kkci/agent:1\.7\.36"):
        container.pinned("kkci/agent:v1.7.36")


@pytest.mark.parametrize("image", ["registry.example:5000/kkagent:1.7.36", "kkagent@sha256:" + "0" * 64])
def test_a_pinned_image_is_taken(image: str) -> None:
    assert container.pinned(image) == image


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
    monkeypatch.setattr(container, "_docker", lambda *arguments: answers[arguments[1]])
    assert container.agent_of_image("image:1", pull=False) == agent


def test_an_image_that_is_not_there_is_taken_for_ours_until_it_is_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "_docker", lambda *_arguments: "")
    assert container.agent_of_image("image:1", pull=False) == OURS


def test_krakens_own_image_gets_host_and_port_and_no_variable_that_it_does_not_know() -> None:
    found = container.wanted_of(PARAMETERS, UPSTREAM).environment
    assert found == {"KRAKEN_SERVER_ADDR": "127.0.0.1:6363"}
    assert container.wanted_of(PARAMETERS).environment["KRAKEN_SERVER_ADDR"] == "http://127.0.0.1:6363"
    assert container.address_of(PARAMETERS, UPSTREAM) == "127.0.0.1"


def test_what_krakens_own_image_cannot_do_is_refused_with_the_reason() -> None:
    with pytest.raises(HostError, match="over http only"):
        container.wanted_of({**PARAMETERS, "server_url": "https://127.0.0.1"}, UPSTREAM)
    with pytest.raises(HostError, match=r"introduces itself as 127\.0\.0\.1"):
        container.wanted_of({**PARAMETERS, "address": "192.0.2.1"}, UPSTREAM)


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
