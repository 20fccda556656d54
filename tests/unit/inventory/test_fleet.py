"""The fleet that an inventory document asks for."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import fleet_from_hostvars, fleet_from_inventory, unsure_hosts
from kraken_fleet.model import UNREAD_TRUST, DesiredAgent, DesiredFleet, DesiredTrust, TrustRule


def _nobody(name: str) -> str:
    raise OSError(f"no such name {name}")


def _fleet(listing: dict[str, object], **more: object) -> DesiredFleet:
    return fleet_from_inventory(listing, resolve=_nobody, **more)  # type: ignore[arg-type]


def _one(variables: Mapping[str, object], *groups: str) -> DesiredAgent:
    values = {"kraken_agent_address": "10.0.0.1", **variables}
    return fleet_from_hostvars({"web1": values}, {"web1": groups}, resolve=_nobody).agents[0]


SITES: dict[str, object] = {
    "_meta": {
        "hostvars": {
            "a": {"ansible_host": "10.0.0.1", "kraken_agent_groups": ["own"]},
            "b": {"ansible_host": "10.0.0.2"},
        }
    },
    "all": {"children": ["ungrouped", "site"], "vars": {"kraken_agent_groups": ["everywhere"]}},
    "site": {"children": ["kraken_group_gpu"], "vars": {"kraken_agent_groups": ["site"]}},
    "kraken_group_gpu": {"children": ["kraken_group_big"], "hosts": ["a"]},
    "kraken_group_big": {"hosts": ["b"], "vars": {"kraken_agent_groups": ["big2"]}},
}


def test_groups_add_up_over_host_and_every_group_level() -> None:
    by_host = {agent.host: agent.groups for agent in _fleet(SITES).agents}
    assert by_host == {
        "a": {"own", "site", "everywhere", "gpu"},
        "b": {"big2", "site", "everywhere", "gpu", "big"},
    }


def test_each_group_says_where_it_comes_from() -> None:
    reasons = dict(_fleet(SITES, hosts=["a"]).agents[0].reasons)
    assert reasons == {
        "everywhere": "kraken_agent_groups of inventory group all",
        "gpu": "inventory group kraken_group_gpu",
        "own": "kraken_agent_groups of host a",
        "site": "kraken_agent_groups of inventory group site",
    }


def test_a_chosen_part_of_the_hosts_is_not_a_complete_fleet() -> None:
    assert _fleet(SITES).complete
    part = _fleet(SITES, hosts=["b"])
    assert not part.complete
    assert [agent.host for agent in part.agents] == ["b"]


def test_a_chosen_host_that_is_not_in_the_inventory_is_named() -> None:
    with pytest.raises(InventoryError, match="host c: It is not in the inventory"):
        _fleet(SITES, hosts=["c"])


def test_the_group_kraken_agents_tells_agents_from_other_hosts() -> None:
    listing = {
        "_meta": {"hostvars": {"a": {"ansible_host": "10.0.0.1"}, "db": {"ansible_host": "10.0.0.9"}}},
        "all": {"children": ["kraken_agents", "databases"]},
        "kraken_agents": {"hosts": ["a"]},
        "databases": {"hosts": ["db"]},
    }
    assert [agent.host for agent in _fleet(listing).agents] == ["a"]


def test_the_nearer_level_wins_for_variables_that_do_not_add_up() -> None:
    listing = {
        "_meta": {"hostvars": {"a": {"ansible_host": "10.0.0.1"}}},
        "all": {"children": ["site"], "vars": {"kraken_agent_system": "debian-11"}},
        "site": {"hosts": ["a"], "vars": {"kraken_agent_system": "debian-12"}},
    }
    assert _fleet(listing).agents[0].system == "debian-12"


def test_the_servers_own_group_all_is_dropped_wherever_it_is_named() -> None:
    assert _one({"kraken_agent_groups": ["all", "gpu"]}, "kraken_group_all").groups == {"gpu"}


def test_a_play_gives_its_levels_beside_the_merged_variables() -> None:
    fleet = fleet_from_hostvars(
        {"a": {"ansible_host": "10.0.0.1", "kraken_agent_groups": ["own"]}},
        {"a": ["site", "kraken_group_gpu"]},
        levels={"a": [("inventory group site", ["s"]), ("host a", ["own"])]},
    )
    assert fleet.agents[0].groups == {"own", "s", "gpu"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"kraken_agent_address": "10.1.1.1", "ansible_host": "10.2.2.2"}, "10.1.1.1"),
        ({"kraken_agent_detected_address": "10.3.3.3", "ansible_host": "10.2.2.2"}, "10.3.3.3"),
        ({"ansible_host": "10.2.2.2"}, "10.2.2.2"),
        ({"ansible_host": "named"}, "192.0.2.1 for named"),
        ({}, "192.0.2.1 for web1"),
        ({"kraken_agent_address": "2001:DB8::0001"}, "2001:db8::1"),
    ],
)
def test_an_address_is_what_was_said_then_found_then_connected_to_then_resolved(
    variables: dict[str, object], expected: str
) -> None:
    fleet = fleet_from_hostvars({"web1": variables}, {}, resolve=lambda name: f"192.0.2.1 for {name}")
    assert fleet.agents[0].address == expected


def test_a_name_without_an_address_names_host_and_variable() -> None:
    with pytest.raises(InventoryError) as caught:
        fleet_from_hostvars({"web1": {}}, {}, resolve=_nobody)
    assert caught.value.where == "host web1, variable kraken_agent_address"


def test_two_hosts_with_one_address_are_both_named() -> None:
    with pytest.raises(InventoryError, match=r"web1 and web2 have the same address 10.0.0.1"):
        fleet_from_hostvars({"web1": {"ansible_host": "10.0.0.1"}, "web2": {"ansible_host": "10.0.0.1"}}, {})


def test_several_agents_on_one_host_share_its_groups_and_add_their_own() -> None:
    instances = [{"name": "one", "address": "10.0.0.1"}, {"name": "two", "address": "10.0.0.2", "groups": ["fast"]}]
    fleet = fleet_from_hostvars(
        {"web1": {"kraken_agent_instances": instances, "kraken_agent_enabled": True}}, {"web1": ["kraken_group_gpu"]}
    )
    assert [(a.label, a.address, sorted(a.groups), a.enabled) for a in fleet.agents] == [
        ("web1/one", "10.0.0.1", ["gpu"], True),
        ("web1/two", "10.0.0.2", ["fast", "gpu"], True),
    ]


def test_an_empty_list_of_instances_means_no_agent_on_this_host() -> None:
    assert fleet_from_hostvars({"web1": {"kraken_agent_instances": []}}, {}, resolve=_nobody).agents == ()


@pytest.mark.parametrize(("text", "meant"), [("true", True), ("no", False), (True, True), ("Yes", True)])
def test_yes_and_no_may_be_written_as_ansible_does(text: object, meant: bool) -> None:
    assert _one({"kraken_agent_enabled": text}).enabled is meant


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("kraken_agent_groups", "gpu", "'gpu' is not a list of groups"),
        ("kraken_agent_groups", [1], "1 is not a text"),
        ("kraken_agent_groups", [""], "'' is not a text"),
        ("kraken_agent_groups", ["{{ x }}"], "is a template that is not filled in"),
        ("kraken_agent_address", "web1.example", "is not an IP address"),
        ("kraken_agent_enabled", "maybe", "'maybe' is not yes or no"),
        ("kraken_agent_system", ["debian-12"], "is not a text"),
        ("kraken_agent_system", {"__ansible_vault": "x"}, "It is encrypted with Ansible Vault"),
        ("kraken_agent_executors", ["dockr"], r"did you mean docker\?"),
        ("kraken_agent_groups_mode", "exactly", "is not one of merge, exact"),
        ("kraken_agent_instances", {"name": "a"}, "is not a list of agents"),
        ("kraken_agent_instances", [{"name": "a"}], "has no address"),
        ("kraken_agent_instances", [{"name": "a", "address": "10.0.0.1", "grups": []}], "'grups' is not one of"),
        ("kraken_agent_instances", [{"name": "a", "address": "1.1.1.1"}] * 2, "Two agents are called 'a'"),
        ("kraken_registration_trust", "atested", r"did you mean attested\?"),
        ("kraken_registration_trust_networks", {"a": 1}, "list"),
        ("kraken_registration_trust_rules", [{"networks": ["10.0.0.0/8"]}], "groups"),
        ("kraken_registration_trust_rules", [{"networks": [], "groups": [], "sytems": []}], "did you mean systems"),
    ],
)
def test_a_wrong_value_names_host_and_variable(variable: str, value: object, said: str) -> None:
    with pytest.raises(InventoryError, match=said) as caught:
        _one({variable: value})
    assert caught.value.host == "web1"
    assert (caught.value.variable or "").startswith(variable)


def test_a_host_says_how_its_agents_are_authorized() -> None:
    assert _one({}).trust == DesiredTrust()
    assert _one({"kraken_registration_trust": "attested"}).trust == DesiredTrust("attested")
    networks = {"kraken_registration_trust": "cidr", "kraken_registration_trust_networks": ["10.0.0.0/8"]}
    assert _one(networks).trust == DesiredTrust("cidr", ("10.0.0.0/8",))
    rule = {"networks": ["10.0.0.0/8"], "groups": ["gpu"], "systems": ["debian-*"]}
    rules = {"kraken_registration_trust": "rules", "kraken_registration_trust_rules": [rule]}
    wanted = TrustRule(frozenset({"gpu"}), ("10.0.0.0/8",), ("debian-*",))
    assert _one(rules).trust == DesiredTrust("rules", rules=(wanted,))


def test_networks_may_be_a_text_with_commas_as_for_ansible() -> None:
    cidr = {"kraken_registration_trust": "cidr", "kraken_registration_trust_networks": "10.0.0.0/8, fd00::/8"}
    assert _one(cidr).trust.networks == ("10.0.0.0/8", "fd00::/8")
    rule = {"networks": "10.0.0.0/8", "groups": "gpu,big"}
    rules = _one({"kraken_registration_trust": "rules", "kraken_registration_trust_rules": [rule]}).trust.rules
    assert rules == (TrustRule(frozenset({"gpu", "big"}), ("10.0.0.0/8",)),)


@pytest.mark.parametrize("value", ["{{ lookup('env', 'X') }}", {"__ansible_vault": "x"}])
def test_a_policy_that_only_a_play_can_read_is_left_unread(value: object) -> None:
    assert _one({"kraken_registration_trust": value}).trust == DesiredTrust(UNREAD_TRUST)
    networks = {"kraken_registration_trust": "cidr", "kraken_registration_trust_networks": value}
    assert _one(networks).trust == DesiredTrust(UNREAD_TRUST)


@pytest.mark.parametrize(
    "variables",
    [
        {"kraken_registration_trust": "cidr", "kraken_registration_trust_networks": ["10.0.0.5/8"]},
        {
            "kraken_registration_trust": "rules",
            "kraken_registration_trust_rules": [{"networks": ["10.0.0.5/8"], "groups": ["gpu"]}],
        },
    ],
)
def test_a_network_that_is_none_names_host_and_place(variables: dict[str, object]) -> None:
    with pytest.raises(InventoryError, match=r"'10\.0\.0\.5/8' is not a network") as caught:
        _one(variables)
    assert caught.value.host == "web1"
    assert str(caught.value.variable).startswith("kraken_registration_trust_")


def test_a_wrong_value_inside_an_instance_is_named_by_its_place() -> None:
    instances = [{"name": "a", "address": "10.0.0.1", "enabled": "maybe"}]
    with pytest.raises(InventoryError, match=r"kraken_agent_instances\[0\].enabled: 'maybe' is not yes or no"):
        _one({"kraken_agent_instances": instances})


def test_a_misspelt_variable_gets_the_nearest_known_name() -> None:
    with pytest.raises(InventoryError, match=r"variable kraken_agent_grups.*Did you mean kraken_agent_groups\?"):
        _one({"kraken_agent_grups": ["gpu"]})


@pytest.mark.parametrize("listing", [{"_meta": {"hostvars": []}}, {"web": ["a"]}, {"web": {"hosts": "a"}}])
def test_a_document_of_another_kind_is_refused(listing: dict[str, object]) -> None:
    with pytest.raises(InventoryError):
        _fleet(listing)


def test_variables_that_a_role_declares_are_known() -> None:
    assert _one({"kraken_agent_dir": "/opt/kraken"}).host == "web1"


def test_hosts_behind_one_address_are_told_apart_once_they_have_said_theirs() -> None:
    hosts = {
        "vm-1": {"ansible_host": "192.0.2.5", "ansible_port": 2201},
        "vm-2": {"ansible_host": "192.0.2.5", "ansible_port": 2202},
    }
    before = fleet_from_hostvars(hosts, {}, resolve=None)
    assert [agent.address for agent in before.agents] == ["vm-1", "vm-2"]
    said = {host: {**own, "kraken_agent_detected_address": "10.0.2.15"} for host, own in hosts.items()}
    with pytest.raises(InventoryError, match=r"vm-1 and vm-2 have the same address 10\.0\.2\.15"):
        fleet_from_hostvars(said, {}, resolve=None)


@pytest.mark.parametrize(
    ("more", "server"),
    [
        ({"kraken_server_url": "k:6363"}, "http://k:6363"),
        ({"kraken_server_url": "https://k", "kraken_agent_server_url": "http://inside/bk"}, "http://inside"),
        ({"kraken_server_url": "https://k"}, ""),
        ({"kraken_server_url": "http://k", "kraken_agent_update_sha256": ["0" * 64]}, ""),
        ({"kraken_server_url": "http://k", "kraken_agent_environment": {"KRAKEN_AGENT_UPDATE_SHA256": "0" * 64}}, ""),
        ({"kraken_server_url": "http://k", "kraken_agent_update": "managed"}, ""),
        ({}, ""),
    ],
)
def test_a_host_whose_updates_nothing_vouches_for_is_found(more: dict[str, object], server: str) -> None:
    host = {"ansible_host": "10.0.0.1", "kraken_agent_update": "server", **more}
    found = fleet_from_hostvars({"a": host}, {}).unchecked_updates
    assert [(one.host, one.server) for one in found] == ([("a", server)] if server else [])


def test_hosts_are_asked_for_the_address_that_only_they_can_know() -> None:
    known = {"web2.example": "10.0.0.2", "web3.example": "127.0.1.1"}

    def resolve(name: str) -> str:
        if name not in known:
            raise OSError("no such name")
        return known[name]

    hosts: dict[str, dict[str, object]] = {
        "web1": {"ansible_host": "10.0.0.1"},
        "web2": {"ansible_host": "web2.example"},
        "set": {"kraken_agent_address": "10.0.0.9", "ansible_connection": "local"},
        "several": {"kraken_agent_instances": [{"name": "a", "address": "10.0.0.5"}]},
        # By a name that nobody here knows, by this machine's own address, and through one machine.
        "nameless": {"ansible_connection": "local"},
        "web3": {"ansible_host": "web3.example"},
        "forwarded": {"ansible_host": "127.0.0.1", "ansible_port": 2222},
        "vm-1": {"ansible_host": "192.0.2.5", "ansible_port": 2201},
        "vm-2": {"ansible_host": "192.0.2.5", "ansible_port": 2202},
        "told": {"ansible_host": "192.0.2.5", "kraken_agent_detected_address": "10.0.0.7"},
    }
    assert unsure_hosts(hosts, resolve) == ["nameless", "web3", "forwarded", "vm-1", "vm-2"]
