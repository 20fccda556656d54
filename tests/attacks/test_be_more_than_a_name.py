"""An agent chooses its address and its words itself, before anybody has let it in: what do they do elsewhere?"""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from ansible.template import Templar
from ansible_collections.kraken_ci.fleet.plugins.inventory.kraken import known_as
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import prerequisites
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.action import read
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.results import failure_message
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from kraken_fleet.api import decode
from kraken_fleet.cli import output, planning
from kraken_fleet.errors import PlanError
from kraken_fleet.model import ip_of, is_host_name, names_a_host, shown
from kraken_fleet.plan import Authorize, Finding, Plan

OPTION = "-oProxyCommand=touch /tmp/pwned"
CLEAR = "\x1b[2J\x1b]0;owned\x07\x9b31m"
# What a host name may be made of; nothing else reaches an option, a path or a shell.
PLAIN = set(string.ascii_letters + string.digits + ".:-")


def facts(address: str, peer: str | None) -> dict[str, Any]:
    return {"kraken_id": 7, "kraken_address": address, "kraken_ip_address": peer}


@pytest.mark.parametrize(
    "address",
    ["localhost", "LocalHost", "127.0.0.1", "::1", "all", "ungrouped", "localhost.localdomain", "x.localhost"],
)
def test_take_the_place_of_the_controller_in_the_dynamic_inventory(address: str) -> None:
    assert known_as(facts(address, "192.0.2.66")) == ("kraken_agent_7", "192.0.2.66")


@pytest.mark.parametrize(
    "text",
    [
        OPTION,
        "-i",
        "a b",
        "a;id",
        "$(id)",
        "a/b",
        "../x",
        "a\nb",
        "",
        ".",
        "a..b",
        "é",
        "0x7f.1",
        "1.2.3",
        "fe80::1%eth0",
    ],
)
def test_put_an_option_into_a_command_line_of_ssh(text: str) -> None:
    assert known_as(facts(text, text)) == ("kraken_agent_7", "")
    assert known_as(facts("10.0.0.9", text)) == ("10.0.0.9", "10.0.0.9")
    assert known_as(facts(text, "10.0.0.9")) == ("kraken_agent_7", "10.0.0.9")


@pytest.mark.parametrize("text", ["10.0.0.9", "2001:db8::1", "build-1", "build-1.example.org", "9lives", "127.0.0.11"])
def test_an_honest_agent_keeps_its_name(text: str) -> None:
    assert known_as(facts(text, "192.0.2.5")) == (text, "192.0.2.5")


@given(st.text() | st.from_regex(r"[-a-z0-9.:]{1,20}", fullmatch=True), st.none() | st.text())
def test_whatever_an_agent_says_is_a_plain_name_or_none(address: str, peer: str | None) -> None:
    name, target = known_as(facts(address, peer))
    for word in (name.replace("kraken_agent_", ""), target):
        assert set(word) <= PLAIN
        assert not word.startswith("-")
    assert name not in ("localhost", "127.0.0.1", "::1", "all", "ungrouped")


def test_an_address_of_both_families_is_the_ipv4_address_that_it_is() -> None:
    row = {"id": 1, "name": "a", "address": "127.0.0.51", "ip_address": "::ffff:127.0.0.1"}
    assert decode.agent(row).ip_address == "127.0.0.1"
    assert ip_of("::ffff:10.1.2.3") == "10.1.2.3"
    assert decode.agent({**row, "ip_address": OPTION}).ip_address == OPTION, "shown as it is, and taken for nothing"


def test_be_a_template_in_a_variable_of_the_inventory() -> None:
    """Ansible fills in only what it was told to trust; what the plugin sets it was not."""
    assert Templar(variables={"x": "{{ 1 + 1 }}"}).template("{{ 1 + 1 }}") == "{{ 1 + 1 }}"


@given(st.text(st.characters(codec=None)))
def test_nothing_that_is_shown_does_anything_to_a_terminal(text: str) -> None:
    neutral = shown(text)
    neutral.encode("utf-8")
    assert not any((ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160 for char in neutral)
    assert "\n" not in shown(text, lines=False)
    assert shown(neutral) == neutral


@pytest.mark.parametrize("char", ["\x1b", "\x9b", "\r", "\x08", "\u202e", "\u2066", "\u200f", "\ud800", "\x7f"])
def test_each_of_these_is_spelled_out(char: str) -> None:
    assert shown(f"a{char}b") == f"a{char.encode('unicode_escape').decode()}b"


def test_words_for_people_are_left_as_they_are() -> None:
    assert shown("größer\n\t✔ 東京") == "größer\n\t✔ 東京"


def test_move_the_cursor_through_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.line(f"job {CLEAR}")
    output.table(["NAME"], [[f"agent {CLEAR}\nanother row"], [Text(f"agent {CLEAR}")]], empty="")
    output.details([("Name", CLEAR)])
    output.error(PlanError(CLEAR, where=CLEAR, hint=CLEAR), as_json=False)
    action = Authorize(agent_id=1, address=CLEAR, host=CLEAR, reason=CLEAR, policy=CLEAR)
    planning.show(Plan(actions=(action,), findings=(Finding(CLEAR, CLEAR, CLEAR, CLEAR),)))
    text = "".join(capsys.readouterr())
    assert "\\x1b[2J" in text
    assert not {"\x1b", "\x07", "\x9b"} & set(text)
    assert "agent \\x1b[2J\\x1b]0;owned\\x07\\x9b31m\\nanother row" in text, "a name makes no row of its own"


def test_move_the_cursor_through_json(capsys: pytest.CaptureFixture[str]) -> None:
    output.answer({"name": f"{CLEAR}\ud800", "other": "größer"})
    said = capsys.readouterr().out
    assert "\x9b" not in said
    assert json.loads(said)["data"] == {"name": f"{CLEAR}\ud800", "other": "größer"}


def test_break_a_table_with_markup(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["NAME"], [["[bold red]x[/] [/nothing]"]], empty="")
    assert "[bold red]x[/] [/nothing]" in capsys.readouterr().out


def test_move_the_cursor_through_a_play() -> None:
    assert failure_message({"msg": f"a {CLEAR}"}) == "a \\x1b[2J\\x1b]0;owned\\x07\\x9b31m"
    answer = json.dumps({"diff": [{"before": CLEAR}], "changed": True})
    stdout = "kraken-fleet: begin\nkraken-fleet: answer=" + answer
    said = str(read_whatever(stdout))
    assert "\x1b" not in said


def read_whatever(stdout: str) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prerequisites, "read", lambda _: type("Found", (), {"complete": True})())
        return read({"stdout": stdout}).answer


@given(st.text())
def test_a_host_name_is_never_an_option_or_a_path(text: str) -> None:
    if is_host_name(text) or names_a_host(text):
        assert set(text) <= PLAIN
        assert text[0] != "-"
