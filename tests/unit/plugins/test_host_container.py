"""The definition of an agent's container: what is refused, and what makes it another one."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import container
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError

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
