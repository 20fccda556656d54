"""Names of groups that kraken-fleet makes for a while."""

from __future__ import annotations

import pytest

from kraken_fleet.model import Owner, OwnGroup, is_own_group

OWNER = Owner("0a1b2c3d4e", 4711, 99)


@pytest.mark.parametrize(
    "group",
    [
        OwnGroup("upgrade", OWNER, 1_800_000_000),
        OwnGroup("proof", OWNER, 1_800_000_000, 3),
        OwnGroup("proof", OWNER, 1_800_000_000, 3, (1, 50, 7)),
        OwnGroup("proof", OWNER, 1_800_000_000, 3, (), disabled=True),
    ],
)
def test_a_name_says_all_that_is_to_be_undone(group: OwnGroup) -> None:
    assert OwnGroup.parse(group.name) == group
    assert is_own_group(group.name)


@pytest.mark.parametrize("name", ["all", "kraken-fleet", "kraken-fleet-proof", "kraken-fleet-proof-x-1-1-1", "proof"])
def test_other_names_are_peoples_own(name: str) -> None:
    assert OwnGroup.parse(name) is None
    assert not is_own_group(name)


def test_the_permanent_groups_of_an_earlier_version_are_known() -> None:
    assert is_own_group("kraken-fleet-verify-12")
