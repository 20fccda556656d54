"""Agents as rows: state, search, filters, order and pages."""

from __future__ import annotations

import pytest

from kraken_fleet.model import Activity, HostNames, activity_of
from kraken_fleet.web.cache import Snapshot
from kraken_fleet.web.parameters import BadParameterError
from kraken_fleet.web.rows import Page, Query
from kraken_fleet.web.table import LastTable, Table
from tests.cost import least_cpu
from tests.unit.web.model_builders import NOW, an_agent

FLEET = [
    an_agent(1, groups=("all", "linux")),
    an_agent(2, groups=("all", "gpu"), docker="20.10", job=7),
    an_agent(10, system="ubuntu-24.04", disabled=True),
    an_agent(9, disabled=True, job=8),
    an_agent(20, silent_for=600),
]


def show(**params: str) -> Page:
    return Table(FLEET, NOW).page(Query.from_params(params))


def numbers(page: Page) -> list[int]:
    return [row.agent.id for row in page.rows]


@pytest.mark.parametrize(
    ("number", "state"),
    [(1, Activity.IDLE), (2, Activity.BUSY), (10, Activity.DISABLED), (9, Activity.DRAINING), (20, Activity.SILENT)],
)
def test_every_state_has_its_word(number: int, state: Activity) -> None:
    assert activity_of(next(agent for agent in FLEET if agent.id == number), NOW) is state


def test_addresses_are_ordered_as_numbers() -> None:
    assert numbers(show()) == [1, 2, 9, 10, 20]
    assert numbers(show(dir="desc")) == [20, 10, 9, 2, 1]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"q": "10.0.0.1"}, [1, 10]),
        ({"q": "UBUNTU"}, [10]),
        ({"q": "gpu"}, [2]),
        ({"group": "linux"}, [1]),
        ({"system": "ubuntu-24.04"}, [10]),
        ({"executor": "docker"}, [2]),
        ({"state": "draining"}, [9]),
        ({"state": "idle", "group": "gpu"}, []),
    ],
)
def test_search_and_filters_narrow_the_rows(params: dict[str, str], found: list[int]) -> None:
    assert numbers(show(**params)) == found


def test_pages_are_cut_and_a_page_past_the_end_is_the_last() -> None:
    second = show(size="2", page="2")
    assert (numbers(second), second.first, second.last, second.pages) == ([9, 10], 3, 4, 3)
    assert numbers(show(size="2", page="99")) == [20]


def test_choices_count_the_whole_fleet_not_the_page() -> None:
    assert dict(show(group="gpu").choices["state"])["disabled"] == 1


def test_a_link_keeps_the_view_and_begins_at_page_one() -> None:
    query = Query.from_params({"q": "x", "group": "gpu", "page": "3"})
    assert query.link(sort="state") == "?q=x&group=gpu&sort=state"
    assert Query.from_params({}).link() == "?"


@pytest.mark.parametrize("params", [{"sort": "zzz"}, {"page": "0"}, {"page": ""}, {"size": "100000"}])
def test_unknown_words_and_numbers_out_of_range_fall_back(params: dict[str, str]) -> None:
    assert show(**params).total == len(FLEET)


@pytest.mark.parametrize("text", ["²", "٣", "-1", "many", "1.0", " 1", "9" * 5000])
@pytest.mark.parametrize("name", ["page", "size"])
def test_what_is_no_number_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(BadParameterError, match=f"{name} is not a whole number"):
        Query.from_params({name: text})


def test_an_address_with_other_digits_is_sorted_like_any_word() -> None:
    fleet = [an_agent(1, address="10.0.0.²"), an_agent(2, address="10.0.0.3")]
    assert [row.agent.id for row in Table(fleet, NOW).page(Query()).rows] == [2, 1]


def test_ten_thousand_agents_are_searched_and_cut_within_the_render_budget() -> None:
    fleet = [an_agent(n, address=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in range(10_000)]
    query = Query.from_params({"q": "10.0", "sort": "state"})
    assert least_cpu(lambda: Table(fleet, NOW).page(query)) < 0.5
    assert Table(fleet, NOW).page(query).total == 10_000


def test_pages_of_one_view_share_its_rows() -> None:
    """What is made out of all agents is made once for a view, however many pages are looked at."""
    tables, names = LastTable(), HostNames()
    view = Snapshot(1, NOW, tuple(FLEET))
    table = tables.of(view, names)
    assert tables.of(view, names) is table
    first, second = table.page(Query()), table.page(Query(text="gpu"))
    assert first.choices is second.choices
    assert second.rows[0] is first.rows[1]
    newer = Snapshot(2, NOW, tuple(FLEET[:1]))
    assert tables.of(newer, names).page(Query()).total == 1
    assert tables.of(newer, HostNames({})) is not table


def test_which_columns_are_empty_is_looked_up_once_for_a_page() -> None:
    page = show()
    assert page.left_out == {"Version", "Host", "Disk"}
    assert page.left_out is page.left_out, "a template asks once for each row"
