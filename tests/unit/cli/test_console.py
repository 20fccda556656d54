"""`kraken-fleet console` as a process: it serves its pages until it is interrupted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from kraken_fleet.api import PasswordCredentials, TokenCredentials
from kraken_fleet.cli.console import _named
from kraken_fleet.cli.console_account import GivenAccounts
from kraken_fleet.errors import UsageError
from kraken_fleet.web import ProxySignOn
from tests.waiting import eventually


def test_the_console_serves_its_pages_until_it_is_interrupted(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    command = [
        sys.executable,
        "-m",
        "kraken_fleet.cli.main",
        "console",
        "--server",
        "http://127.0.0.1:9",
        "--port",
        port,
    ]
    command += ["--read-only", "--limit-body-bytes", "4096", "--state-dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)

    def page() -> str:
        assert process.poll() is None, process.communicate()
        try:
            return requests.get(f"http://127.0.0.1:{port}/sign-in", timeout=100).text
        except requests.ConnectionError:
            return ""

    try:
        assert "Sign in" in eventually(page)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=100)
        assert (process.returncode, errors) == (0, "")
        assert f"Console for http://127.0.0.1:9: http://127.0.0.1:{port}/" in said
    finally:
        process.kill()
        process.communicate()


def test_servers_are_given_with_their_names_and_one_without_a_name() -> None:
    assert _named([]) == {}
    assert _named(["http://kraken.example:6363/?a=b"]) == {}
    servers = ["berlin=http://kraken.example:6363", "oslo=other.example:6363"]
    assert _named(servers) == {"berlin": "http://kraken.example:6363", "oslo": "other.example:6363"}


@pytest.mark.parametrize(
    "servers",
    [
        ["http://one.example", "http://two.example"],
        ["a=http://one.example", "a=http://two.example"],
        ["a=http://one.example", "http://two.example"],
        ["static=http://one.example", "b=http://two.example"],
        ["a=ftp://one.example", "b=http://two.example"],
    ],
)
def test_servers_that_cannot_be_told_apart_or_reached_are_refused(servers: list[str]) -> None:
    with pytest.raises(UsageError):
        _named(servers)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret=1"
    file.write_text("t0ken\n")
    return file


def test_a_console_has_an_account_on_each_of_its_servers(secret: Path) -> None:
    given = GivenAccounts(["berlin=fleet"], [f"berlin={secret}"], [f"oslo={secret}"])
    found = given.by_server(["berlin", "oslo"], None, needed=True)
    assert found == {"berlin": PasswordCredentials("fleet", "t0ken"), "oslo": TokenCredentials("t0ken")}
    assert GivenAccounts(["fleet"], [str(secret)], []).by_server([], None, needed=True) == {
        "": PasswordCredentials("fleet", "t0ken")
    }


def test_the_account_in_the_environment_goes_to_no_server_of_several(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRAKEN_FLEET_TOKEN_FILE", str(secret))
    nothing = GivenAccounts([], [], [])
    assert nothing.by_server([], None, needed=True) == {"": TokenCredentials("t0ken")}
    assert nothing.by_server([], None, needed=False) == {}
    with pytest.raises(UsageError, match="no account"):
        nothing.by_server(["berlin"], None, needed=True)


@pytest.mark.parametrize(
    ("names", "users", "needed"),
    [
        ([], ["fleet"], False),
        ([], ["fleet", "other"], True),
        (["berlin"], ["fleet"], True),
        (["berlin"], ["oslo=fleet"], True),
        (["berlin"], ["berlin=fleet", "berlin=other"], True),
    ],
)
def test_an_account_without_a_use_or_a_server_is_refused(
    names: list[str], users: list[str], needed: bool, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRAKEN_FLEET_TOKEN_FILE", str(secret))
    with pytest.raises(UsageError):
        GivenAccounts(users, [], []).by_server(names, None, needed=needed)


def test_the_account_in_the_environment_is_not_that_of_the_server_that_is_started(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRAKEN_FLEET_TOKEN_FILE", str(secret))
    nothing = GivenAccounts([], [], [])
    assert nothing.of_this_server(needed=False) is None
    with pytest.raises(UsageError, match="no account"):
        nothing.of_this_server(needed=True)
    assert GivenAccounts([], [], [str(secret)]).of_this_server(needed=True) == TokenCredentials("t0ken")
    with pytest.raises(UsageError, match="need --viewers or --proxy-user-header"):
        GivenAccounts([], [], [str(secret)]).of_this_server(needed=False)


@pytest.mark.parametrize(
    ("header", "proxies"),
    [
        ("X-Remote-User", ()),
        ("X_Remote_User", ("10.0.0.5",)),
        ("X-Remote-User:", ("10.0.0.5",)),
        ("", ("10.0.0.5",)),
        ("Cookie", ("10.0.0.5",)),
        ("X-Forwarded-For", ("10.0.0.5",)),
    ],
)
def test_a_header_that_cannot_name_people_is_refused(header: str, proxies: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        ProxySignOn(header, proxies)
