"""What each kind of failure becomes, and what is sent again after one."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from kraken_fleet.api import KrakenClient, PasswordCredentials, TokenCredentials
from kraken_fleet.errors import (
    NotPermittedError,
    RequestRejectedError,
    ServerFaultError,
    ServerUnreachableError,
    UnexpectedAnswerError,
)
from tests.unit.api.fake_kraken import FakeKraken
from tests.unit.api.recorded import PASSWORD, Reply, agent_json, problem


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (problem(403, "only superadmin can get agents"), NotPermittedError),
        (problem(400, "Cannot find agent 99999"), RequestRejectedError),
        (problem(404, "Agent not found"), RequestRejectedError),
        (problem(405, "The method is not allowed for the requested URL."), RequestRejectedError),
        (Reply(500, content_type="text/html; charset=utf-8"), ServerFaultError),
        (Reply(200, raw=b"<html>hello</html>", content_type="text/html"), UnexpectedAnswerError),
        (Reply(404, raw=b"<html>nginx</html>", content_type="text/html"), UnexpectedAnswerError),
        (Reply(404, raw=b"[]"), UnexpectedAnswerError),
        (Reply(200, raw=b'{"version": '), UnexpectedAnswerError),
        (Reply(200, raw=b""), UnexpectedAnswerError),
        (Reply(200, []), UnexpectedAnswerError),
        (Reply(200, {"version": 1}), UnexpectedAnswerError),
        (Reply(302, headers={"Location": "https://elsewhere/?token=x"}), UnexpectedAnswerError),
    ],
)
def test_each_refusal_has_its_error(
    fake: FakeKraken, client: KrakenClient, reply: Reply, error: type[Exception]
) -> None:
    fake.script("GET", "/version", reply)
    with pytest.raises(error) as caught:
        client.version()
    assert type(caught.value) is error
    assert f"GET {fake.url}/bk/api/version: " in str(caught.value)


def test_a_rejection_carries_status_and_the_servers_words(fake: FakeKraken, client: KrakenClient) -> None:
    with pytest.raises(RequestRejectedError) as caught:
        client.agent(99999)
    assert (caught.value.status, caught.value.detail) == (400, "Cannot find agent with id 99999")


def test_a_redirect_is_not_followed_and_its_target_named(fake: FakeKraken, client: KrakenClient) -> None:
    fake.script("GET", "/version", Reply(301, headers={"Location": f"{fake.url}/elsewhere?token=x"}))
    with pytest.raises(UnexpectedAnswerError, match=r"The address redirects to .*/elsewhere") as caught:
        client.version()
    assert "token" not in str(caught.value)
    assert fake.count("GET", "/elsewhere") == 0


def test_a_port_where_nothing_listens() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"127.0.0.1:{reserved.getsockname()[1]}"
        with (
            KrakenClient(url) as client,
            pytest.raises(ServerUnreachableError, match=r"no connection \(Connection refused\)"),
        ):
            client.version()


def test_a_host_that_is_unknown() -> None:
    client = KrakenClient("kraken.invalid:6363")
    with client, pytest.raises(ServerUnreachableError, match="name is unknown") as caught:
        client.version()
    assert caught.value.hint


def test_a_server_that_does_not_answer_is_given_up_in_time(fake: FakeKraken) -> None:
    fake.tokens.add("t")
    fake.script("GET", "/version", *[Reply(delay=30.0)] * 3)
    with KrakenClient(fake.url, TokenCredentials("t"), timeout=0.3) as client:
        started = time.monotonic()
        with pytest.raises(ServerUnreachableError, match=r"did not answer within 0\.3 s"):
            client.version()
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("fault", [Reply(502), Reply(503), Reply(504), Reply(drop=True)])
def test_a_get_is_repeated_after_a_passing_fault(fake: FakeKraken, client: KrakenClient, fault: Reply) -> None:
    fake.script("GET", "/version", fault)
    assert client.version() == "1.7.36"
    assert fake.count("GET", "/version") == 2


@pytest.mark.parametrize("fault", [Reply(503), Reply(drop=True)])
def test_put_patch_and_delete_are_repeated_too(fake: FakeKraken, client: KrakenClient, fault: Reply) -> None:
    fake.agents[1] = agent_json(1)
    for method, path in (("PUT", "/agents/1"), ("PATCH", "/agents"), ("DELETE", "/agents/1")):
        fake.script(method, path, fault)
    client.disable_agent(1)
    client.set_authorized([1])
    client.delete_agent(1)
    assert [fake.count(*one) for one in (("PUT", "/agents/1"), ("PATCH", "/agents"), ("DELETE", "/agents/1"))] == [
        2
    ] * 3


@pytest.mark.parametrize(
    ("fault", "error"), [(Reply(503), ServerFaultError), (Reply(drop=True), ServerUnreachableError)]
)
def test_a_post_that_may_have_arrived_is_never_repeated(
    fake: FakeKraken, client: KrakenClient, fault: Reply, error: type[Exception]
) -> None:
    fake.script("POST", "/groups", fault)
    with pytest.raises(error):
        client.create_group("gpu")
    assert fake.count("POST", "/groups") == 1


def test_a_post_that_found_no_connection_is_tried_again(fake: FakeKraken, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = 0
    connect = socket.socket.connect

    def refuse_once(self: socket.socket, address: Any) -> None:
        nonlocal refused
        if not refused:
            refused += 1
            raise ConnectionRefusedError(111, "Connection refused")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse_once)
    with KrakenClient(fake.url, PasswordCredentials("admin", PASSWORD)) as client:
        assert client.version() == "1.7.36"
    assert (refused, fake.count("POST", "/sessions")) == (1, 1)


def test_krakens_own_500_is_not_repeated(fake: FakeKraken, client: KrakenClient) -> None:
    fake.script("GET", "/version", Reply(500, content_type="text/html; charset=utf-8"))
    with pytest.raises(ServerFaultError):
        client.version()
    assert fake.count("GET", "/version") == 1


def test_a_retry_after_of_an_hour_is_not_obeyed(fake: FakeKraken, client: KrakenClient) -> None:
    fake.script("GET", "/version", Reply(503, headers={"Retry-After": "3600"}))
    assert client.version() == "1.7.36"
