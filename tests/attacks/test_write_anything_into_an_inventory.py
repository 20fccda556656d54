"""Whatever an inventory says of its hosts: a fleet, or an error that names host and variable; no failure inside."""

from __future__ import annotations

import ipaddress
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kraken_fleet.collection import variables as declared_variables
from kraken_fleet.errors import FleetError, InventoryError, UsageError
from kraken_fleet.inventory import fleet_from_hostvars, fleet_from_inventory, problems_of_host
from kraken_fleet.network.firewall import allow_list, nftables_rules, nginx_rules

SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | SCALARS, inner, max_size=3),
)
ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "::1", "::ffff:10.0.0.1", "fe80::1%eth0", "10.0.0.1\n"]) | ANYTHING
INSTANCES = st.lists(
    st.fixed_dictionaries(
        {"name": st.just("a") | ANYTHING, "address": ADDRESSES},
        optional={"groups": ANYTHING, "enabled": ANYTHING, "environment": ANYTHING, "executors": ANYTHING},
    )
    | ANYTHING,
    max_size=3,
)
NEARLY_RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "kraken_agent_address": ADDRESSES,
    "kraken_agent_instances": INSTANCES | ANYTHING,
    "kraken_agent_groups": st.lists(st.text(max_size=4) | ANYTHING, max_size=3) | ANYTHING,
    "kraken_agent_enabled": st.booleans() | st.just("no") | ANYTHING,
    "kraken_agent_executors": st.lists(st.sampled_from(["docker", "lxd"]), max_size=2) | ANYTHING,
    "kraken_agent_update": st.just("server") | ANYTHING,
    "kraken_server_url": st.sampled_from(["k:6363", "https://k/bk", "http://[::1", "ftp://k", "http://u:p@k"])
    | ANYTHING,
    "kraken_agent_environment": st.dictionaries(st.text(max_size=6), ANYTHING, max_size=2) | ANYTHING,
    "ansible_host": ADDRESSES,
}
NAMES = st.sampled_from([*NEARLY_RIGHT, *sorted(declared_variables())]) | st.text(max_size=8).map("kraken_{}".format)
HOSTVARS = st.lists(NAMES, max_size=5, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: NEARLY_RIGHT.get(name, ANYTHING) for name in names})
)
INVENTORIES = st.dictionaries(st.sampled_from(["a", "b", "web-1.example"]) | st.text(max_size=6), HOSTVARS, max_size=3)
BOUNDED = settings(max_examples=200, deadline=None)


def nowhere(name: str) -> str:
    raise OSError(f"there is no {name}")


def told(error: FleetError) -> None:
    """What a person reads of it can be printed."""
    for text in (str(error), error.message, str(error.as_dict())):
        assert text.encode("utf-8", "backslashreplace")


@BOUNDED
@given(hosts=INVENTORIES)
@example(hosts={"a": {"kraken_agent_instances": [{"": None, None: None}]}})
def test_each_problem_of_a_host_names_host_and_variable(hosts: dict[str, dict[str, Any]]) -> None:
    for host, variables in hosts.items():
        for problem in problems_of_host(host, variables):
            assert problem.host == host
            assert problem.variable
            told(problem)


@BOUNDED
@given(hosts=INVENTORIES, groups=st.lists(st.just("kraken_group_gpu") | st.text(max_size=6), max_size=3))
def test_an_inventory_is_a_fleet_or_an_error_of_its_own(hosts: dict[str, dict[str, Any]], groups: list[str]) -> None:
    for resolve in (None, nowhere, lambda _name: "192.0.2.1"):
        try:
            fleet = fleet_from_hostvars(hosts, dict.fromkeys(hosts, groups), complete=True, resolve=resolve)
        except InventoryError as error:
            told(error)
            continue
        assert {agent.host for agent in fleet.agents} <= hosts.keys()
        assert len(fleet.by_address()) == len(fleet.agents)
        try:
            allowed = allow_list(fleet)
        except UsageError:
            continue
        for line in (nginx_rules(allowed, "http://k") + nftables_rules(allowed)).splitlines():
            if line.strip().startswith("allow "):
                ipaddress.ip_network(line.split()[1].rstrip(";"))


@BOUNDED
@given(
    listing=st.dictionaries(
        st.sampled_from(["_meta", "all", "kraken_agents"]) | st.text(max_size=5),
        ANYTHING
        | st.fixed_dictionaries(
            {},
            optional={
                "hosts": ANYTHING | st.just(["a"]),
                "children": ANYTHING | st.just(["all"]),
                "vars": ANYTHING,
                "hostvars": INVENTORIES | ANYTHING,
            },
        ),
        max_size=4,
    )
)
def test_a_document_of_ansible_inventory_is_a_fleet_or_an_error_of_its_own(listing: dict[str, object]) -> None:
    try:
        fleet_from_inventory(listing, resolve=nowhere)
    except InventoryError as error:
        told(error)
