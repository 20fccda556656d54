"""The server's own facts, and the 200 that means "not signed in"."""

from __future__ import annotations

from typing import Any

import pytest

from kraken_fleet.api import KrakenClient, TokenCredentials
from kraken_fleet.errors import NotPermittedError, NotSignedInError, RequestRejectedError, ServerFaultError
from kraken_fleet.model import System
from tests.unit.api.fake_kraken import FakeKraken
from tests.unit.api.recorded import Reply, Request

PUBLIC = {"idp": {"auth0_enabled": False, "ldap_enabled": False}}
ALL: dict[str, Any] = {"general": {"server_url": "", "clickhouse_addr": "", "clickhouse_log_ttl": 6}, **PUBLIC}


@pytest.fixture(autouse=True)
def _settings(fake: FakeKraken) -> None:
    """As the real server does: to a bad token the public part, with status 200."""
    fake.on("GET", "/settings", lambda request: Reply(body=ALL if request.token in fake.tokens else PUBLIC))
    fake.on("PUT", "/settings", _put)


def _put(request: Request) -> Reply:
    assert isinstance(request.body, dict)
    return Reply(body={**ALL, "general": {**ALL["general"], **request.body["general"]}})


def test_settings_come_by_group(client: KrakenClient) -> None:
    assert client.settings()["general"]["clickhouse_log_ttl"] == 6


def test_a_token_that_expired_is_renewed_although_the_status_is_200(fake: FakeKraken, client: KrakenClient) -> None:
    client.version()
    fake.tokens.clear()
    fake.tokens.add("another")
    assert "general" in client.settings()
    assert fake.count("POST", "/sessions") == 2


def test_a_bad_token_is_not_taken_for_an_empty_server(fake: FakeKraken) -> None:
    with KrakenClient(fake.url, TokenCredentials("deadbeef")) as client, pytest.raises(NotSignedInError):
        client.settings()


def test_an_account_that_may_not_read_them_is_told(fake: FakeKraken, client: KrakenClient) -> None:
    fake.on("GET", "/settings", lambda request: Reply(body=PUBLIC))
    with pytest.raises(NotPermittedError, match="may not read the settings"):
        client.settings()


def test_some_are_set_and_all_come_back(fake: FakeKraken, client: KrakenClient) -> None:
    now = client.update_settings({"general": {"server_url": "http://10.0.0.5:6363"}})
    assert now["general"] == {"server_url": "http://10.0.0.5:6363", "clickhouse_addr": "", "clickhouse_log_ttl": 6}
    assert fake.bodies("PUT", "/settings") == [{"general": {"server_url": "http://10.0.0.5:6363"}}]


@pytest.mark.parametrize("changes", [{"general": {"nope": 1}}, {"nope": {"a": 1}}])
def test_one_that_the_server_would_ignore_is_refused(
    fake: FakeKraken, client: KrakenClient, changes: dict[str, dict[str, object]]
) -> None:
    with pytest.raises(RequestRejectedError, match=r"no setting .*nope"):
        client.update_settings(changes)
    assert fake.count("PUT", "/settings") == 0


def test_systems(fake: FakeKraken, client: KrakenClient) -> None:
    body = {"items": [{"executor": "local", "id": 1, "name": "any"}], "total": 1}
    fake.on("GET", "/systems", lambda request: Reply(body=body))
    assert client.systems() == (System(1, "any", "local"),)


def test_install_files_come_as_they_are_and_without_a_token(fake: FakeKraken, client: KrakenClient) -> None:
    fake.on("GET", "/bk/install/agent", lambda request: Reply(raw=b"#!python\0\1", content_type="application/zip"))
    assert client.install_file("agent") == b"#!python\0\1"
    assert [one.token for one in fake.requests] == [None]


def test_an_install_script_of_a_server_without_addresses_says_what_to_set(
    fake: FakeKraken, client: KrakenClient
) -> None:
    fake.on("GET", "/bk/install/kraken-agent-install.sh", lambda request: Reply(500, content_type="text/html"))
    with pytest.raises(ServerFaultError) as caught:
        client.install_file("kraken-agent-install.sh")
    assert "`server_url` and `clickhouse_addr`" in str(caught.value.hint)
