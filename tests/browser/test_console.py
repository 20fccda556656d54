"""The console as a person uses it: real Chromium, a real server, real agents."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from kraken_fleet.model import Disabling
from kraken_fleet.reconcile import disable
from tests.browser.conftest import Kraken, sign_in
from tests.unique_names import unique_name
from tests.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
PAGES = ("agents", "groups", "discovered", "fleet", "downloads")


def test_two_discovered_agents_are_let_in_work_and_go(page: Page, kraken: Kraken) -> None:
    _tell_the_whole_story(page, kraken)


@pytest.mark.real_server
def test_the_same_story_on_the_real_server(page: Page, real_kraken: Kraken) -> None:
    _tell_the_whole_story(page, real_kraken)


def _tell_the_whole_story(page: Page, kraken: Kraken) -> None:
    """Authorize two agents, see them active, run a job and follow it live, drain one, delete one."""
    group = unique_name("tentacles")
    kraken.client.create_group(group)
    first, second = kraken.start_agent(), kraken.start_agent()
    sign_in(page, kraken)

    page.goto(f"{kraken.console}/discovered")
    for address in (first, second):
        expect(page.get_by_role("link", name=address)).to_be_visible(timeout=60_000)
        page.get_by_label(f"Select {address}").check()
    expect(page.locator("#count")).to_have_text("2 selected")
    page.get_by_label(group).check()
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_role("status").filter(has_text="authorize")).to_contain_text("done")

    page.goto(f"{kraken.console}/agents?group={group}")
    row = page.get_by_role("row").filter(has_text=first)
    # No reload: the page itself learns that the agents have reported their system.
    expect(row).to_contain_text("idle", timeout=60_000)
    expect(row).not_to_contain_text("not reported", timeout=60_000)

    job = kraken.start_job(group, "for i in 1 2 3 4 5 6; do echo beat $i; sleep 1; done")
    page.goto(f"{kraken.console}/jobs/{job.id}")
    expect(page.locator(".log")).to_contain_text("beat 2", timeout=60_000)
    expect(page.locator(".log")).to_contain_text("beat 6", timeout=60_000)
    expect(page.locator("#live")).to_contain_text("succeeded", timeout=60_000)

    page.goto(f"{kraken.console}/agents?group={group}")
    page.get_by_label(f"Select {first}").check()
    page.get_by_role("button", name="Drain").click()
    expect(page.get_by_role("row").filter(has_text=first)).to_contain_text("disabled", timeout=10_000)

    kraken.stop_agent(second)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_label(f"Select {second}").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("row").filter(has_text=second)).to_have_count(0)
    assert {agent.address for agent in kraken.client.agents()}.isdisjoint({second})


def test_a_group_with_a_script_as_its_name_only_shows_text(page: Page, kraken: Kraken) -> None:
    """An agent cannot bring one: the embedded server refuses what is no address."""
    kraken.client.create_group(EVIL)
    sign_in(page, kraken)
    page.goto(f"{kraken.console}/groups")
    expect(page.get_by_role("row").filter(has_text=EVIL)).to_be_visible()
    assert page.title() != "owned"


def test_a_second_browser_sees_the_change_without_a_reload(page: Page, second_page: Page, kraken: Kraken) -> None:
    for browser in (page, second_page):
        sign_in(browser, kraken)
    second_page.goto(f"{kraken.console}/groups")
    expect(second_page.locator("#link")).to_have_text("live")
    page.goto(f"{kraken.console}/groups")
    page.get_by_label("New group").fill("seen-by-both")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("row").filter(has_text="seen-by-both")).to_be_visible()
    expect(second_page.get_by_role("row").filter(has_text="seen-by-both")).to_be_visible(timeout=10_000)


def test_everything_works_without_javascript(plain_page: Page, kraken: Kraken) -> None:
    address = kraken.announce("10.77.0.1")
    sign_in(plain_page, kraken)
    _open_until_listed(plain_page, f"{kraken.console}/discovered", address)
    plain_page.get_by_label(f"Select {address}").check()
    plain_page.get_by_role("button", name="Authorize").click()
    _open_until_listed(plain_page, f"{kraken.console}/agents?q={address}", address)
    plain_page.get_by_label(f"Select {address}").check()
    plain_page.get_by_role("button", name="Disable").click()
    assert [agent.disabled for agent in kraken.client.agents() if agent.address == address] == [True]


def test_wrong_passwords_are_told_and_then_rationed(page: Page, kraken: Kraken) -> None:
    for _ in range(5):
        sign_in(page, kraken, user="mallory", password="guess")
        expect(page.get_by_role("alert")).to_contain_text("knows no user 'mallory' with this password")
    sign_in(page, kraken, user="mallory", password="guess")
    expect(page.get_by_role("alert")).to_contain_text(re.compile(r"Try again in \d+ s"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_accessibility_fault(page: Page, kraken: Kraken, scheme: str) -> None:
    kraken.client.create_group(f"access-{scheme}")
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    page.goto(f"{kraken.console}/sign-in")
    faults = {"sign-in": _serious(page)}
    sign_in(page, kraken)
    for name in PAGES:
        page.goto(f"{kraken.console}/{name}")
        faults[name] = _serious(page)
    assert {name: found for name, found in faults.items() if found} == {}


def test_a_phone_shows_every_page_without_sideways_scrolling(page: Page, kraken: Kraken) -> None:
    kraken.announce("10.77.0.2")
    page.set_viewport_size({"width": 390, "height": 800})
    sign_in(page, kraken)
    for name in PAGES:
        page.goto(f"{kraken.console}/{name}")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, f"{name} is {width} pixels wide"
        cut = page.evaluate(
            "[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth).length"
        )
        assert not cut, f"{name} has a table that is cut"


def test_no_request_leaves_the_consoles_own_origin(page: Page, kraken: Kraken) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    sign_in(page, kraken)
    for name in PAGES:
        page.goto(f"{kraken.console}/{name}")
    assert asked
    assert [url for url in asked if not url.startswith(kraken.console)] == []


def test_a_command_is_copied_and_times_are_in_the_readers_time_zone(browser: Browser, kraken: Kraken) -> None:
    kraken.client.set_authorized([_discovered(kraken, kraken.announce("10.77.0.3"))])
    (agent,) = [agent for agent in kraken.client.agents() if agent.address == "10.77.0.3"]
    since = datetime(2026, 5, 4, 20, 30, tzinfo=UTC)
    list(disable(kraken.client, [agent], why=Disabling("anna", since, None, "a new disk")))
    context = browser.new_context(
        timezone_id="Asia/Tokyo", locale="en-GB", permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    sign_in(page, kraken)
    page.goto(f"{kraken.console}/agents/{agent.id}")
    expect(page.locator("#live")).to_contain_text("by anna since 5 May 2026, 05:30: a new disk")
    page.goto(f"{kraken.console}/downloads")
    page.get_by_role("button", name="Copy: kraken.env").click()
    expect(page.get_by_role("button", name="Copy: kraken.env")).to_have_text("Copied")
    assert f"KRAKEN_SERVER_ADDR={kraken.url}" in page.evaluate("navigator.clipboard.readText()")
    context.close()


def _open_until_listed(page: Page, url: str, address: str) -> None:
    """Opens a page again and again: without a script it does not renew itself, and a slow server is asked rarely."""

    def listed() -> int:
        page.goto(url)
        return page.get_by_label(f"Select {address}").count()

    eventually(listed)


def _discovered(kraken: Kraken, address: str) -> int:
    return next(agent.id for agent in kraken.client.agents(unauthorized=True) if agent.address == address)


def _serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['html'][:120]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
