"""Extra agents beside a server under Docker Compose: the override file, and what is refused."""

from collections.abc import Mapping, Sequence

import pytest

from kraken_fleet.errors import NetworkError
from kraken_fleet.network import AgentService, ComposeFile, ComposeOverride, plan_override

TWO_AGENTS = (AgentService("agent1", "172.20.0.11", docker_socket=True), AgentService("agent2", "172.20.0.12"))


def override(
    compose: ComposeFile,
    agents: Sequence[AgentService] = TWO_AGENTS,
    subnet: str = "172.20.0.0/16",
    other_subnets: Mapping[str, str] | None = None,
    current_subnet: str | None = None,
) -> ComposeOverride:
    return plan_override(
        compose,
        agents,
        subnet=subnet,
        image="kkagent:1.0",
        other_subnets=other_subnets or {},
        current_subnet=current_subnet,
    )


def test_each_agent_becomes_a_service_with_its_own_address(compose: ComposeFile) -> None:
    content = override(compose).content
    agent1 = content["services"]["agent1"]
    assert agent1["networks"] == {"lab_net": {"ipv4_address": "172.20.0.11"}}
    assert agent1["depends_on"] == ["server", "minio", "clickhouse-proxy"]
    assert agent1["volumes"] == ["/var/run/docker.sock:/var/run/docker.sock"]
    assert "volumes" not in content["services"]["agent2"]
    assert content["networks"]["lab_net"]["ipam"] == {"config": [{"subnet": "172.20.0.0/16"}]}


def test_what_users_gave_takes_the_place_of_the_env_files(compose: ComposeFile) -> None:
    agent = AgentService("agent1", "172.20.0.11", {"KRAKEN_SERVER_ADDR": "http://k:6363", "PASSWORD": "a$b"})
    environment = override(compose, [agent]).content["services"]["agent1"]["environment"]
    # A dollar sign is doubled: compose would take what follows it for a variable.
    assert environment == ["KRAKEN_CLICKHOUSE_ADDR", "KRAKEN_SERVER_ADDR=http://k:6363", "PASSWORD=a$$b"]


def test_no_extra_agent_claims_to_be_the_builtin_one(compose: ComposeFile) -> None:
    assert "KRAKEN_AGENT_BUILTIN" not in str(override(compose).content)


@pytest.mark.parametrize(("current", "recreate"), [(None, False), ("172.20.0.0/16", False), ("172.18.0.0/16", True)])
def test_the_network_is_recreated_only_when_its_subnet_is_another(
    compose: ComposeFile, current: str | None, recreate: bool
) -> None:
    planned = override(compose, current_subnet=current)
    assert planned.recreate_network is recreate
    assert planned.network == "krakenprod_lab_net"


@pytest.mark.parametrize(
    ("agents", "subnet", "others", "message"),
    [
        (TWO_AGENTS, "172.20.0.0/16", {"office": "172.20.4.0/24"}, "overlaps 172.20.4.0/24 of network office"),
        (TWO_AGENTS, "172.20.0.0/30", {}, "has 2 host addresses and 7 are needed"),
        (TWO_AGENTS, "not-a-subnet", {}, "is not an IPv4 subnet"),
        ([AgentService("minio", "172.20.0.9")], "172.20.0.0/16", {}, "has a service 'minio' already"),
        ([AgentService("a", "172.20.0.9"), AgentService("a", "172.20.0.8")], "172.20.0.0/16", {}, "Two extra agents"),
        ([AgentService("a", "172.20.0.9"), AgentService("b", "172.20.0.9")], "172.20.0.0/16", {}, "is taken by a"),
        ([AgentService("a", "172.20.0.5")], "172.20.0.0/16", {}, "is taken by service minio"),
        ([AgentService("a", "172.20.0.3")], "172.20.0.0/16", {}, "is taken by the server's services"),
        ([], "172.20.0.0/16", {}, "no agent to run"),
        ([AgentService("a", "172.20.0.1")], "172.20.0.0/16", {}, "is taken by the bridge itself"),
        ([AgentService("a", "172.21.0.9")], "172.20.0.0/16", {}, "not a host address of 172.20.0.0/16"),
        ([AgentService("a", "172.20.255.255")], "172.20.0.0/16", {}, "not a host address"),
        ([AgentService("a", "nine")], "172.20.0.0/16", {}, "a: "),
    ],
)
def test_what_could_not_run_is_refused(
    compose: ComposeFile, agents: Sequence[AgentService], subnet: str, others: Mapping[str, str], message: str
) -> None:
    with pytest.raises(NetworkError, match=message):
        override(compose, agents, subnet, others)


def test_a_compose_file_without_the_lab_network_is_refused(compose: ComposeFile) -> None:
    without = ComposeFile(compose.path, {**compose.content, "networks": {"db_net": {}}})
    with pytest.raises(NetworkError, match="no network 'lab_net', only db_net"):
        override(without)
