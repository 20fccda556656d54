"""Which of several places names the server and the account, and that secrets show nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from kraken_fleet.api import (
    PasswordCredentials,
    TokenCredentials,
    credentials_from,
    find_credentials,
    find_server,
    of_environment,
    of_files,
)
from kraken_fleet.errors import InventoryError, UsageError
from kraken_fleet.model import ServerAccount as Account

NOTHING = Account("nothing")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("from-the-file\r\n")
    return path


def test_the_first_place_that_names_a_server_wins() -> None:
    first, second = Account("a", "https://a", ca_bundle=""), Account("b", "https://b", ca_bundle="/b.pem")
    assert find_server([NOTHING, first, second]) == ("https://a", Path("/b.pem"))


def test_without_a_server_the_error_says_where_to_name_one() -> None:
    with pytest.raises(UsageError, match="No Kraken server is named") as caught:
        find_server([NOTHING])
    assert "--server URL" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (
            [Account("a", user="u", password="p"), Account("b", user="v", password="q")],
            PasswordCredentials("u", "p"),
        ),
        ([Account("a", user="u"), Account("b", user="v", password="q")], PasswordCredentials("u", "q")),
        ([Account("a", password="p"), Account("b", user="v", password="q")], PasswordCredentials("v", "p")),
        ([Account("a", token="t"), Account("b", user="v", password="q")], TokenCredentials("t")),
        ([Account("a", user="u"), Account("b", token="t", user="u")], TokenCredentials("t")),
        # Whoever names a user wants that user's password, not the token of somebody else.
        (
            [Account("a", user="u"), Account("b", token="t"), Account("c", password="q")],
            PasswordCredentials("u", "q"),
        ),
        ([Account("a", token="t"), Account("b", token="")], TokenCredentials("t")),
    ],
)
def test_the_first_place_with_a_secret_wins_and_the_first_user(levels: list[Account], expected: object) -> None:
    assert find_credentials(levels) == expected


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([NOTHING], "There is no account for the Kraken server"),
        ([Account("a", user="admin")], "There is no password for user admin"),
        ([Account("the environment", password="x")], "the environment: There is a password, and no user"),
        (
            [Account("the inventory", user="u", password="x", token="y")],
            "the inventory: Both a password and a token",
        ),
        ([Account("a", token="two words")], "blanks or control characters"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(levels: list[Account], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_credentials(levels)


def test_an_account_that_is_locked_is_needed_only_when_no_place_below_has_one() -> None:
    locked = Account("the inventory", locked=InventoryError("It is encrypted"))
    assert find_credentials([locked, Account("b", user="v", password="q")]) == PasswordCredentials("v", "q")
    with pytest.raises(InventoryError, match="It is encrypted"):
        find_credentials([locked, NOTHING])


def test_a_person_is_asked_when_no_place_has_a_secret() -> None:
    asked: list[str] = []

    def ask(user: str) -> PasswordCredentials:
        asked.append(user)
        return PasswordCredentials(user, "typed")

    assert find_credentials([Account("a", user="u")], ask) == PasswordCredentials("u", "typed")
    assert find_credentials([Account("a", user="u", password="p")], ask) == PasswordCredentials("u", "p")
    assert asked == ["u"]


def test_the_environment_gives_secrets_themselves_or_files_with_them(secret: Path) -> None:
    plain = of_environment({"KRAKEN_FLEET_USER": "admin", "KRAKEN_FLEET_PASSWORD": "pass word"})
    assert (plain.user, plain.password) == ("admin", "pass word")
    assert of_environment({"KRAKEN_FLEET_TOKEN_FILE": str(secret)}).token == "from-the-file"
    assert of_environment({"KRAKEN_FLEET_SERVER": "https://k"}).url == "https://k"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"KRAKEN_FLEET_TOKEN": "x", "KRAKEN_FLEET_TOKEN_FILE": "y"}, "Both KRAKEN_FLEET_TOKEN and"),
        ({"KRAKEN_FLEET_TOKEN_FILE": "/no/such/file"}, "No such file"),
    ],
)
def test_an_environment_that_is_wrong(environ: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        of_environment(environ)


def test_a_secret_file_that_is_empty_or_no_text_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"\n", b"\xff\xfe"):
        (tmp_path / "secret").write_bytes(content)
        with pytest.raises(UsageError, match="secret"):
            of_files("the command line", password_file=tmp_path / "secret")


def test_a_level_shows_no_secret(secret: Path) -> None:
    level = of_files("the command line", "https://k", "u", secret, secret)
    assert "from-the-file" not in repr(level)
    assert (level.password, level.token) == ("from-the-file", "from-the-file")


def test_credentials_show_no_secret() -> None:
    assert "hush-hush" not in repr([PasswordCredentials("admin", "hush-hush"), TokenCredentials("hush-hush")])


def test_arguments_win_over_the_environment(secret: Path) -> None:
    environ = {"KRAKEN_FLEET_TOKEN": "abc", "KRAKEN_FLEET_USER": "admin"}
    assert credentials_from(password_file=secret, environ=environ) == PasswordCredentials("admin", "from-the-file")
    assert credentials_from(environ=environ | {"KRAKEN_FLEET_USER": ""}) == TokenCredentials("abc")
