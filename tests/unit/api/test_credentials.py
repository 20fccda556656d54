"""Where user, password and token come from, and that they show nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from kraken_fleet.api import PasswordCredentials, TokenCredentials, credentials_from
from kraken_fleet.errors import UsageError


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("from-the-file\n")
    return path


def test_user_and_password_from_the_environment() -> None:
    environ = {"KRAKEN_FLEET_USER": "admin", "KRAKEN_FLEET_PASSWORD": "pass word"}
    assert credentials_from(environ=environ) == PasswordCredentials("admin", "pass word")


def test_user_and_password_file_from_the_environment(secret: Path) -> None:
    environ = {"KRAKEN_FLEET_USER": "admin", "KRAKEN_FLEET_PASSWORD_FILE": str(secret)}
    assert credentials_from(environ=environ) == PasswordCredentials("admin", "from-the-file")


def test_token_from_the_environment(secret: Path) -> None:
    assert credentials_from(environ={"KRAKEN_FLEET_TOKEN": "abc"}) == TokenCredentials("abc")
    assert credentials_from(environ={"KRAKEN_FLEET_TOKEN_FILE": str(secret)}) == TokenCredentials("from-the-file")


def test_an_option_wins_over_the_environment(secret: Path) -> None:
    environ = {"KRAKEN_FLEET_TOKEN": "abc", "KRAKEN_FLEET_USER": "admin"}
    assert credentials_from("demo", secret, environ=environ) == PasswordCredentials("demo", "from-the-file")
    assert credentials_from(password_file=secret, environ=environ) == PasswordCredentials("admin", "from-the-file")
    environ = {"KRAKEN_FLEET_USER": "admin", "KRAKEN_FLEET_PASSWORD": "x"}
    assert credentials_from(token_file=secret, environ=environ) == TokenCredentials("from-the-file")


def test_a_user_as_option_asks_for_the_password_not_the_token() -> None:
    environ = {"KRAKEN_FLEET_TOKEN": "abc", "KRAKEN_FLEET_PASSWORD": "x"}
    assert credentials_from("demo", environ=environ) == PasswordCredentials("demo", "x")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "no credentials"),
        ({"KRAKEN_FLEET_USER": "admin"}, "no password"),
        ({"KRAKEN_FLEET_PASSWORD": "x"}, "no user"),
        ({"KRAKEN_FLEET_PASSWORD": "x", "KRAKEN_FLEET_USER": "u", "KRAKEN_FLEET_TOKEN": "y"}, "Both a token and"),
        ({"KRAKEN_FLEET_TOKEN": "x", "KRAKEN_FLEET_TOKEN_FILE": "y"}, "Both KRAKEN_FLEET_TOKEN and"),
        ({"KRAKEN_FLEET_TOKEN": "two words"}, "blanks or control characters"),
        ({"KRAKEN_FLEET_TOKEN_FILE": "/no/such/file"}, "No such file"),
    ],
)
def test_says_what_is_wrong_with_the_environment(environ: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        credentials_from(environ=environ)


def test_an_empty_or_binary_file_is_refused_by_name(tmp_path: Path) -> None:
    for content in (b"\n", b"\xff\xfe"):
        path = tmp_path / "secret"
        path.write_bytes(content)
        with pytest.raises(UsageError) as caught:
            credentials_from(token_file=path, environ={})
        assert caught.value.where == str(path)


def test_secrets_do_not_show_in_a_repr() -> None:
    assert "hush-hush" not in repr([PasswordCredentials("admin", "hush-hush"), TokenCredentials("hush-hush")])
