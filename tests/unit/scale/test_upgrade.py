"""What an upgrade in slices decides by itself: limits, addresses, releases, and when no other batch may follow."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of

from kraken_fleet.collection import role_variables
from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import Inventory
from kraken_fleet.model import DesiredAgent, DesiredFleet
from kraken_fleet.scale.upgrade import addressed, is_over
from kraken_fleet.scale.upgrade_batch import releases_of
from kraken_fleet.scale.upgrade_limits import Limits


def inventory(path: Path, **variables: object) -> Inventory:
    file = path / "hosts.yml"
    file.write_text(yaml.safe_dump({"kraken_agents": {"hosts": {"one": None}, "vars": variables}}))
    return Inventory([file])


def test_limits_that_nobody_sets_are_those_of_the_playbook() -> None:
    declared, limits = role_variables()["kraken_upgrade"], asdict(Limits())
    options = arguments_of("upgrade_batches")
    assert list(limits.pop("serial")) == options["serial"]["default"]
    assert limits.pop("max_unavailable") == options["max_unavailable"]["default"]
    assert limits.pop("max_fail_percentage") == 0
    assert limits == {name: declared[f"kraken_upgrade_{name}"]["default"] for name in limits}


def test_limits_come_from_the_inventory_with_templates_filled_in(tmp_path: Path) -> None:
    found = Limits.of(
        inventory(
            tmp_path,
            kraken_upgrade_serial=[1, "10%"],
            kraken_upgrade_max_unavailable="{{ 1 + 1 }}",
            kraken_upgrade_drain_timeout="{{ 60 * 2 }}",
        )
    )
    assert found == Limits(serial=("1", "10%"), max_unavailable="2", drain_timeout=120)


def test_a_limit_that_is_no_number_is_named_with_its_variable(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="host one, variable kraken_upgrade_verify_timeout: 'soon' is no whole"):
        Limits.of(inventory(tmp_path, kraken_upgrade_verify_timeout="soon"))


def test_hosts_say_the_addresses_that_the_inventory_does_not() -> None:
    fleet = DesiredFleet((DesiredAgent("one", "10.0.0.1"), DesiredAgent("two", "two"), DesiredAgent("three", "three")))
    found = {
        "one": {"agents": [{"name": "", "address": "10.0.0.9"}]},
        "two": {"agents": [{"name": "", "address": "10.0.0.2"}]},
        "three": {"agents": [{"name": "", "address": "{{ 1 }}"}]},
    }
    assert [agent.address for agent in addressed(fleet, found).agents] == ["10.0.0.1", "10.0.0.2", "three"]


def test_a_host_that_says_the_address_of_another_one_stops_the_upgrade() -> None:
    fleet = DesiredFleet((DesiredAgent("one", "10.0.0.1"), DesiredAgent("two", "two")))
    with pytest.raises(InventoryError, match=r"one and two have the same address 10\.0\.0\.1"):
        addressed(fleet, {"two": {"agents": [{"address": "10.0.0.1"}]}})


@pytest.mark.parametrize(
    ("agents", "found"),
    [
        ([{"name": "", "release": "1.4.0-5d1c2f0a"}], {"": "1.4.0-5d1c2f0a"}),
        ([{"name": "a", "release": "ghcr.io/a/b@sha256:00"}, {"name": "b", "release": ""}], {}),
        ([{"name": "", "release": "{{ lookup('file', '/etc/shadow') }}"}], {}),
        ([], {}),
    ],
)
def test_a_host_goes_back_only_to_releases_that_all_of_its_agents_had(
    agents: list[dict[str, str]], found: dict[str, str]
) -> None:
    assert releases_of({"agents": agents}) == found


@pytest.mark.parametrize(
    ("bad", "percentage", "over"), [(0, 0, False), (1, 0, True), (1, 25, False), (2, 25, True), (4, 100, True)]
)
def test_no_batch_follows_one_with_too_many_failed_hosts(bad: int, percentage: int, *, over: bool) -> None:
    hosts = ["a", "b", "c", "d"]
    assert is_over(hosts[:bad], hosts, Limits(max_fail_percentage=percentage)) is over
