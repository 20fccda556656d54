"""`kraken-fleet watch` as people and timers call it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kraken_fleet.api import KrakenClient
from kraken_fleet.cli.main import main
from kraken_fleet.state import ReconcileResult, keep_reconcile_result
from tests.message_receivers import web_hook
from tests.missing_package import hide_package
from tests.unit.cli.planned_fleet import Run

NOW = ("--lasting", "0")


def test_a_round_for_a_timer_tells_what_it_found_and_a_second_one_nothing(
    client: KrakenClient, inventory: str, run: Run, tmp_path: Path
) -> None:
    keep_reconcile_result(tmp_path / "state", client.url, ReconcileResult("2026-05-04T11:00:00Z", "it broke"))
    with web_hook() as hook:
        urls = tmp_path / "urls"
        urls.write_text(f"# ours\n\n{hook.url('anna:s3cret@')}\n")
        urls.chmod(0o600)
        words = ("watch", "-i", inventory, "--notify-file", str(urls), "--once", "--json", *NOW)
        code, out, err = run(*words)
        events: list[Any] = [json.loads(line) for line in out.splitlines()]
        assert (code, err) == (0, "")
        assert [events[0]["event"], events[-1]["event"]] == ["looked", "sent"]
        assert events[-1]["receiver"] == f"JSON ({urls}:3)"
        told = {(one["topic"], one["subject"]) for one in events if one["event"] == "appeared"}
        assert {("drift", "server"), ("reconcile", "reconcile"), ("finding", "far")} <= told
        assert "s3cret" not in out
        code, out, _ = run(*words)
        assert [json.loads(line)["event"] for line in out.splitlines()] == ["looked"]
        keep_reconcile_result(tmp_path / "state", client.url, ReconcileResult("2026-05-04T11:05:00Z"))
        code, out, _ = run(*words)
        assert [json.loads(line)["event"] for line in out.splitlines()] == ["looked", "over", "sent"]
    assert code == 0
    assert len(hook.messages) == 2


def test_what_is_not_sent_is_said_and_makes_the_exit_code_3(client: KrakenClient, inventory: str, run: Run) -> None:
    words = ("watch", "-i", inventory, "--notify", "json://anna:s3cret@127.0.0.1:1", "--once", *NOW)
    code, out, err = run(*words)
    assert code == 3
    assert "not sent to JSON (--notify 1)" in out
    assert "--notify-file" in err
    assert "s3cret" not in out + err


def test_a_dry_run_needs_no_receiver_and_prints_the_message(client: KrakenClient, inventory: str, run: Run) -> None:
    code, out, _ = run("watch", "-i", inventory, "--once", "--dry-run", *NOW)
    assert code == 0
    assert "This would be sent:\nKraken fleet 127.0.0.1: " in out
    assert "- far: no agent has ever claimed" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "No receiver is named"),
        (("--notify", "nonsense"), "--notify 1"),
        (("--dry-run", "--lasting", "soon=1h"), "soon"),
        (("--dry-run", "--dead-time", "drift=never"), "never"),
        (("--notify-file", "/none"), "/none"),
    ],
)
def test_a_wrong_command_line_is_64(
    client: KrakenClient, inventory: str, run: Run, words: tuple[str, ...], said: str
) -> None:
    code, _, err = run("watch", "-i", inventory, "--once", *words)
    assert code == 64
    assert said in err


def test_a_file_of_urls_that_everybody_can_read_is_refused(
    client: KrakenClient, inventory: str, run: Run, tmp_path: Path
) -> None:
    urls = tmp_path / "urls"
    urls.write_text("json://127.0.0.1:1\n")
    urls.chmod(0o644)
    code, _, err = run("watch", "-i", inventory, "--once", "--notify-file", str(urls))
    assert code == 64
    assert "chmod o-r" in err


def test_reconcile_writes_down_how_it_ended(client: KrakenClient, inventory: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("kraken_agents: {hosts: {a: {kraken_agent_address: [1]}}}")
    assert run("reconcile", "-i", inventory)[0] == 1
    (path,) = (tmp_path / "state" / "reconcile").glob("*.json")
    assert json.loads(path.read_text())["message"]


def test_without_its_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hide_package(monkeypatch, "apprise", "kraken_fleet.watch", "kraken_fleet.cli.watch", "kraken_fleet.cli.notify_urls")
    assert main(["watch"]) == 1
    assert "pip install 'kraken-fleet[watch]'" in capsys.readouterr().err
