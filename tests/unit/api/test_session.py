"""Signing in, what is sent over which connections, and where secrets do not go."""

from __future__ import annotations

import copy
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from kraken_fleet.address import ServerAddress
from kraken_fleet.api import MAX_CONNECTIONS, KrakenClient, PasswordCredentials, TokenCredentials
from kraken_fleet.errors import (
    NotSignedInError,
    UsageError,
)
from tests.unit.api.fake_kraken import FakeKraken
from tests.unit.api.recorded import BAD_TOKEN, PASSWORD, Reply, agent_json, problem


def test_nothing_is_sent_before_the_first_call_and_one_sign_in_serves_many(
    fake: FakeKraken, client: KrakenClient
) -> None:
    assert fake.requests == []
    assert [client.version(), client.version()] == ["1.7.36", "1.7.36"]
    assert fake.count("POST", "/sessions") == 1


@pytest.mark.parametrize("suffix", ["", "/", "/api", "/bk", "/bk/api"])
def test_any_way_to_write_the_address_reaches_the_api(fake: FakeKraken, suffix: str) -> None:
    with KrakenClient(fake.url + suffix, PasswordCredentials("admin", PASSWORD)) as client:
        assert client.version() == "1.7.36"


def test_a_reverse_proxys_prefix_is_kept(fake: FakeKraken) -> None:
    fake.prefixes = ("/ci/kraken/bk/api",)
    with KrakenClient(f"{fake.url}/ci/kraken/", PasswordCredentials("admin", PASSWORD)) as client:
        assert client.version() == "1.7.36"
        assert client.url == f"{fake.url}/ci/kraken"


def test_a_token_that_expired_is_renewed_once(fake: FakeKraken, client: KrakenClient) -> None:
    client.version()
    fake.tokens.clear()
    fake.tokens.add("another")
    assert client.version() == "1.7.36"
    assert fake.count("POST", "/sessions") == 2


def test_a_post_refused_for_its_token_is_sent_again_with_the_new_one(fake: FakeKraken, client: KrakenClient) -> None:
    client.version()
    fake.tokens.clear()
    fake.tokens.add("another")
    client.create_group("gpu")
    assert [row["name"] for row in fake.groups.values()] == ["all", "gpu"]


def test_a_server_that_refuses_every_token_is_asked_no_more_than_twice(fake: FakeKraken, client: KrakenClient) -> None:
    fake.script("GET", "/version", *[problem(401, BAD_TOKEN)] * 5)
    with pytest.raises(NotSignedInError):
        client.version()
    assert fake.count("GET", "/version") == 2


def test_threads_that_lose_their_token_together_sign_in_once(fake: FakeKraken, client: KrakenClient) -> None:
    client.version()
    fake.tokens.clear()
    fake.tokens.add("another")
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: client.version(), range(16))) == {"1.7.36"}
    assert fake.count("POST", "/sessions") == 2


def test_a_given_token_is_used_and_never_renewed(fake: FakeKraken) -> None:
    fake.tokens.add("given")
    with KrakenClient(fake.url, TokenCredentials("given")) as client:
        assert client.version() == "1.7.36"
        fake.tokens.clear()
        with pytest.raises(NotSignedInError):
            client.version()
    assert fake.count("POST", "/sessions") == 0


def test_without_credentials_the_server_is_asked_without_a_token(fake: FakeKraken) -> None:
    with KrakenClient(fake.url) as client, pytest.raises(NotSignedInError):
        client.version()
    assert fake.requests[0].token is None


def test_a_wrong_password_names_the_user_and_not_the_password(fake: FakeKraken) -> None:
    client = KrakenClient(fake.url, PasswordCredentials("admin", "hush-hush"))
    with client, pytest.raises(NotSignedInError, match="no user 'admin' with this password") as caught:
        client.agents()
    assert "hush-hush" not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_quotes_the_password_is_not_quoted(fake: FakeKraken) -> None:
    fake.script("POST", "/sessions", problem(400, "'hush-hush' is not of type 'object' - 'password'"))
    client = KrakenClient(fake.url, PasswordCredentials("admin", "hush-hush"))
    with client, pytest.raises(NotSignedInError) as caught:
        client.version()
    assert "hush-hush" not in "".join(traceback.format_exception(caught.value)) + str(caught.value.as_dict())


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_no_error_shows_a_secret(fake: FakeKraken, client: KrakenClient, status: int) -> None:
    client.version()
    fake.script("GET", "/version", problem(status, "no"), problem(status, "no"))
    with pytest.raises(Exception) as caught:
        client.version()
    shown = "".join(traceback.format_exception(caught.value)) + repr(client) + repr(vars(client))
    assert PASSWORD not in shown
    assert not any(token in shown for token in fake.tokens)


def test_the_reprs_of_clients_say_where_and_who(fake: FakeKraken) -> None:
    shown = [repr(KrakenClient(fake.url, who)) for who in (None, PasswordCredentials("u", "p"), TokenCredentials("t"))]
    ends = ("as nobody>", "as user 'u'>", "as a token>")
    assert shown == [f"<KrakenClient {fake.url} {end}" for end in ends]


def test_concurrent_puts_all_arrive_over_a_bounded_number_of_connections(
    fake: FakeKraken, client: KrakenClient
) -> None:
    fake.agents = {n: agent_json(n) for n in range(1, 41)}
    for n in fake.agents:
        fake.script("PUT", f"/agents/{n}", Reply(body=agent_json(n, disabled=True), delay=0.02))
    with ThreadPoolExecutor(20) as pool:
        changed = list(pool.map(lambda n: client.disable_agent(n), fake.agents))
    assert [agent.id for agent in changed] == list(range(1, 41))
    assert all(agent.disabled for agent in changed)
    assert 2 <= fake.most_busy <= MAX_CONNECTIONS
    assert fake.count("POST", "/sessions") == 1


def test_a_netrc_does_not_take_the_place_of_our_token(
    fake: FakeKraken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\ndefault login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    fake.tokens.add("given")
    monkeypatch.setattr(ServerAddress, "is_loopback", property(lambda _: False))  # there the environment is not read
    with KrakenClient(fake.url, TokenCredentials("given")) as client:
        assert client.version() == "1.7.36"


def test_an_http_proxy_is_not_asked_about_this_machine(fake: FakeKraken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    fake.tokens.add("given")
    with KrakenClient(fake.url, TokenCredentials("given")) as client:
        assert client.version() == "1.7.36"


def test_a_ca_bundle_that_is_not_there_is_refused_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        KrakenClient("https://kraken", ca_bundle="/no/such.pem")
    assert caught.value.where == "/no/such.pem"


def test_a_closed_client_can_be_used_again(fake: FakeKraken, client: KrakenClient) -> None:
    client.version()
    client.close()
    assert client.version() == "1.7.36"


def test_a_session_that_was_closed_for_good_signs_in_no_more(fake: FakeKraken, client: KrakenClient) -> None:
    twin = copy.copy(client._session)
    client.version()
    client._session.close(for_good=True)
    for one in (client._session, twin):
        with pytest.raises(NotSignedInError, match="The session was ended"):
            one.request("GET", "/version")
        client.close()
    assert fake.count("POST", "/sessions") == 1


def test_threads_share_no_session_but_one_pool(fake: FakeKraken, client: KrakenClient) -> None:
    sessions = []
    thread = threading.Thread(target=lambda: sessions.append(client._session._http))
    thread.start()
    thread.join()
    assert sessions[0] is not client._session._http
    assert sessions[0].get_adapter(fake.url) is client._session._http.get_adapter(fake.url)


def test_who_is_told_to_wait_hears_for_how_long_and_not_that_the_password_is_wrong(fake: FakeKraken) -> None:
    fake.script("POST", "/sessions", problem(429, "Too many wrong passwords: try again in 42 s"))
    client = KrakenClient(fake.url, PasswordCredentials("admin", "hush-hush"))
    with client, pytest.raises(NotSignedInError, match=r"try no more passwords for now .*in 42 s"):
        client.version()


def test_closing_waits_for_no_server_that_has_gone(fake: FakeKraken, client: KrakenClient) -> None:
    client.version()
    fake.stop()
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("minutes", [-7, 0, 90])
def test_the_servers_clock_is_known_from_its_answers(fake: FakeKraken, client: KrakenClient, minutes: int) -> None:
    theirs = datetime.now(UTC) + timedelta(minutes=minutes)
    fake.script(
        "GET", "/version", Reply(body={"version": "1.7.36"}, headers={"Date": format_datetime(theirs, usegmt=True)})
    )
    client.version()
    assert abs(client.server_time() - theirs) < timedelta(seconds=5)


def test_a_server_that_tells_no_time_has_ours(fake: FakeKraken, client: KrakenClient) -> None:
    fake.dated = False
    assert client.clock_ahead() == timedelta()
