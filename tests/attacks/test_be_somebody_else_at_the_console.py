"""A console that a proxy signs people on to believes the header of that proxy alone, and only one of it.

Each attack is tried on a console by itself and on the one of an embedded server.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from kraken_fleet.cli.serve import MountedConsole
from kraken_fleet.server.testing import RunningServer, running
from kraken_fleet.web import ConsoleSettings, ProxySignOn, create_consoles, people
from tests.console_server import serving, serving_application
from tests.server_accounts import PASSWORD, administrator, new_account, set_rights

# The whole of 127.0.0.0/8 is this machine: each address stands for a host.
PROXY, OTHER = "127.0.0.2", "127.0.0.3"
HEADER = "X-Remote-User"


@dataclass(frozen=True)
class Said:
    """An answer of the console."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.text)
        return found[1] if found else ""


def ask(
    console: str,
    path: str,
    *names: str | bytes,
    sender: str = PROXY,
    form: dict[str, str] | None = None,
    more: Sequence[tuple[str, str]] = (),
) -> Said:
    """Send a request from an address, with one header for each name, and follow no redirection."""
    address = urlsplit(console)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60, source_address=(sender, 0))
    body = urlencode(form).encode() if form is not None else b""
    connection.putrequest("GET" if form is None else "POST", address.path + path)
    for name in names:
        connection.putheader(HEADER, name)
    for key, value in more:
        connection.putheader(key, value)
    if form is not None:
        connection.putheader("Content-Type", "application/x-www-form-urlencoded")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    said = Said(answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()})
    connection.close()
    return said


Opened = Callable[[ConsoleSettings], str]


@pytest.fixture(scope="module")
def mounted() -> MountedConsole:
    """The console of the embedded server."""
    return MountedConsole()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mounted: MountedConsole) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("sign-on"), mounts=[("/", mounted)], proxies=(PROXY,)) as found:
        new_account(found, "anna", superadmin=True)
        new_account(found, "bert", superadmin=True)
        new_account(found, "vera")
        yield found


def settings_for(server: RunningServer, folder: Path) -> ConsoleSettings:
    return ConsoleSettings(
        server.url,
        folder / "state",
        poll_seconds=0,
        account=administrator(server),
        sign_on=ProxySignOn(HEADER, (PROXY,)),
    )


@pytest.fixture(params=["by itself", "on the embedded server"])
def opened(request: pytest.FixtureRequest, server: RunningServer, mounted: MountedConsole) -> Iterator[Opened]:
    """Opens a console with these settings; its URL."""
    with ExitStack() as stack:

        def open_console(settings: ConsoleSettings) -> str:
            if request.param == "by itself":
                return stack.enter_context(serving(settings))
            mounted.show(settings)
            return server.url

        yield open_console


@pytest.fixture
def console(opened: Opened, server: RunningServer, tmp_path: Path) -> str:
    return opened(settings_for(server, tmp_path))


def test_the_proxy_says_who_it_is_and_the_audit_log_has_that_name(
    console: str, server: RunningServer, tmp_path: Path
) -> None:
    page = ask(console, "/agents", "anna")
    assert (page.status, "<span>anna</span>" in page.text, "Sign out" in page.text) == (200, True, False)
    form = {"csrf": page.csrf, "name": "made by anna"}
    assert ask(console, "/groups/create", "anna", form=form).status == 303
    assert "made by anna" in ask(console, "/groups", "anna").text
    lines = [json.loads(line) for line in (tmp_path / "state" / "audit.log").read_text().splitlines()]
    assert [(line["who"], line["account"], line["action"]) for line in lines] == [
        ("anna", server.user, "sign in"),
        ("anna", server.user, "create group"),
    ]


@pytest.mark.parametrize(
    "more",
    [
        [],
        [("X-Forwarded-For", PROXY)],
        [("X-Forwarded-For", f"{PROXY}, 127.0.0.1"), ("X-Real-IP", PROXY), ("Forwarded", f"for={PROXY}")],
        [("Host", PROXY)],
    ],
)
def test_from_another_host_than_the_proxy(console: str, more: list[tuple[str, str]]) -> None:
    for sender in (OTHER, "127.0.0.1"):
        answer = ask(console, "/agents", "anna", sender=sender, more=more)
        assert (answer.status, answer.headers["location"]) == (303, "/sign-in?next=/agents")


def test_with_a_second_header_beside_the_proxys(console: str) -> None:
    for names in (("anna", "vera"), ("vera", "anna"), ("anna", "anna"), ("", "anna"), ("anna", "")):
        answer = ask(console, "/agents", *names)
        assert (answer.status, "twice" in answer.text) == (400, True), names


@pytest.mark.parametrize(
    "name",
    ["anna, bert", "anna,", ",", "x" * 201, "an\x7fna", "an\tna", b"\xff\xfe", "anna\u2028".encode(), b"an\xc2\xa0na"],
)
def test_with_what_is_not_one_name(console: str, name: str | bytes) -> None:
    assert ask(console, "/agents", name).status == 400


@pytest.mark.parametrize("key", ["X_Remote_User", "X-Remote_User", "X-RemoteUser", "Remote-User", "X-Remote-User-"])
def test_with_a_header_that_only_looks_like_the_proxys(console: str, key: str) -> None:
    assert ask(console, "/agents", more=[(key, "anna")]).status == 303
    answer = ask(console, "/agents", "anna", more=[(key, "bert")])
    assert (answer.status, "<span>anna</span>" in answer.text) == (200, True)


def test_by_a_name_that_the_server_does_not_know_or_that_may_not_look(console: str, server: RunningServer) -> None:
    for name in ("nobody", "Anna", "vera", "anna'--", "%"):
        assert ask(console, "/agents", name).status == 403, name
    assert ask(console, "/agents", "annä".encode()).status == 403
    set_rights(server, "bert", superadmin=True, enabled=False)
    assert ask(console, "/agents", "bert").status == 403
    set_rights(server, "bert", superadmin=True)


def test_a_viewer_whom_the_proxy_names_only_looks(opened: Opened, server: RunningServer, tmp_path: Path) -> None:
    console = opened(dataclasses.replace(settings_for(server, tmp_path), viewers=True))
    page = ask(console, "/agents", "vera")
    assert (page.status, "read-only" in page.text, '<form method="post"' in page.text) == (200, True, False)
    assert ask(console, "/jobs/1", "vera").status == 403
    # The word of her own session is in none of her pages; another's is of no use.
    csrf = ask(console, "/agents", "anna").csrf
    for word in ("", csrf):
        answer = ask(console, "/groups/create", "vera", form={"csrf": word, "name": "veras"})
        assert answer.status == 403
    assert "veras" not in ask(console, "/groups", "anna").text


def test_at_the_servers_own_api_the_header_is_of_no_use(console: str, server: RunningServer) -> None:
    assert ask(console, "/agents", "anna").status == 200
    for path in ("/api/agents", "/bk/api/users", "/api/groups"):
        assert ask(server.url, path, "anna").status == 401, path


def test_with_the_cookie_of_somebody_else(console: str, server: RunningServer) -> None:
    account = {"user": "bert", "password": PASSWORD}
    berts = ask(console, "/sign-in", sender=OTHER, form=account).headers["set-cookie"].partition(";")[0]
    bert = ask(console, "/agents", sender=OTHER, more=[("Cookie", berts)])
    assert "<span>bert</span>" in bert.text
    both = ask(console, "/agents", "anna", more=[("Cookie", berts)])
    assert "<span>anna</span>" in both.text, "what the proxy says counts, not what a browser has kept"
    form = {"csrf": bert.csrf, "name": "made by whom"}
    assert ask(console, "/groups/create", "anna", form=form, more=[("Cookie", berts)]).status == 403
    for key in ("anna", "named:anna", ""):
        cookie = [("Cookie", f"kraken_fleet_session={key}")]
        assert ask(console, "/agents", sender=OTHER, more=cookie).status == 303, "a name is no key of a session"


def test_from_a_page_of_another_site(console: str) -> None:
    csrf = ask(console, "/agents", "anna").csrf
    for word, origin in (("", ""), ("guessed", ""), (csrf, "http://evil.example")):
        more = [("Origin", origin)] if origin else []
        answer = ask(console, "/groups/create", "anna", form={"csrf": word, "name": "x"}, more=more)
        assert answer.status == 403


def test_an_administrator_no_longer_changes_what_the_server_no_longer_allows(
    console: str, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "ROLE_SECONDS", 0.0)
    csrf = ask(console, "/agents", "bert").csrf
    set_rights(server, "bert")
    try:
        assert ask(console, "/groups/create", "bert", form={"csrf": csrf, "name": "berts"}).status == 403
        assert "berts" not in ask(console, "/groups", "anna").text
    finally:
        set_rights(server, "bert", superadmin=True)


def test_an_ipv4_proxy_of_a_socket_for_both_families_is_the_one_that_was_named(
    server: RunningServer, tmp_path: Path
) -> None:
    with serving(settings_for(server, tmp_path), host="::") as console:
        assert ask(console, "/agents", "anna").status == 200
        assert ask(console, "/agents", "anna", sender=OTHER).status == 303
        six = console.replace("127.0.0.1", "[::1]")
        assert ask(six, "/agents", "anna", sender="::1").status == 303


def test_at_several_servers_each_looks_up_its_own_account(server: RunningServer, tmp_path: Path) -> None:
    with running(tmp_path / "second") as second:
        settings = {
            name: dataclasses.replace(settings_for(one, tmp_path), name=name)
            for name, one in (("berlin", server), ("oslo", second))
        }
        with serving_application(create_consoles(settings), (PROXY,)) as console:
            page = ask(console, "/", "anna")
            assert "anna has no account on this server" in page.text, "not on the second one"
            assert page.text.count("Sign in to see them") == 0
            assert ask(console, "/berlin/agents", "anna").status == 200
            assert ask(console, "/oslo/agents", "anna").status == 403
            assert ask(console, "/", "anna", sender=OTHER).text.count("Sign in to see them") == 2
            answer = ask(console, "/", "anna", "vera")
            assert (answer.status, "twice" in answer.text, '<td data-label="Signed in as">anna' in answer.text) == (
                200,
                True,
                False,
            )
