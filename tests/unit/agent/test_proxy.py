"""The way to the server through an HTTP proxy, and when it is not taken."""

from __future__ import annotations

import base64
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from kraken_agent.protocol import parse_server
from kraken_agent.proxy import proxy_for

from tests.unit.agent.conftest import StartAgent
from tests.unit.agent.fake_server import FakeServer
from tests.unit.agent.small_proxy import small_proxy

Until = Callable[..., None]
PROXY = {"http_proxy": "http://proxy:3128"}


def test_a_job_runs_through_a_proxy(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    job = server.add_job({"cmd": "echo through it"})
    with small_proxy() as proxy:
        start_agent(http_proxy=proxy.url, no_proxy="")
        until(lambda: job.finished)
        assert set(proxy.asked) == {f"POST {server.url}/backend"}
        assert len(proxy.asked) >= len(server.messages)
    assert server.sink.output(job.id) == ["through it"]


def test_a_server_behind_tls_is_reached_through_a_tunnel(
    tls_server: tuple[str, Path], server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    url, certificate = tls_server
    job = server.add_job({"cmd": "echo through it"})
    with small_proxy("me:secret word") as proxy:
        start_agent(url=url, SSL_CERT_FILE=str(certificate), HTTPS_PROXY=proxy.url.replace(" ", "%20"), no_proxy="")
        until(lambda: job.finished)
        assert set(proxy.asked) == {f"CONNECT {url.removeprefix('https://')}"}
        assert b"backend" not in proxy.seen
    assert server.sink.output(job.id) == ["through it"]


def test_the_proxys_password_goes_to_the_proxy_alone(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    with small_proxy("me:hidden-word") as proxy:
        agent = start_agent(http_proxy=proxy.url, no_proxy="")
        until(lambda: server.said("get-job"))
        assert b"hidden-word" not in Path(f"/proc/{agent.pid}/cmdline").read_bytes()
    until(lambda: "trying again" in agent.said())
    assert proxy.address in agent.said()
    assert "hidden-word" not in agent.said()
    assert base64.b64encode(b"me:hidden-word").decode() not in agent.said()


def test_a_proxy_that_wants_another_password_is_named(
    server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    with small_proxy("me:word") as proxy:
        agent = start_agent(http_proxy=f"http://{proxy.address}", no_proxy="")
        until(lambda: "wants another user or password" in agent.said())
        assert f"the proxy {proxy.address}" in agent.said()
    assert server.messages == []


def test_a_tunnel_that_is_not_opened_is_said(start_agent: StartAgent, until: Until) -> None:
    with small_proxy() as proxy:
        agent = start_agent(url="https://127.0.0.1:1", https_proxy=proxy.url, no_proxy="")
        until(lambda: f"the proxy {proxy.address} does not let the agent through" in agent.said())
        assert "502" in agent.said()


def test_an_exception_is_reached_directly(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    with small_proxy() as proxy:
        start_agent(http_proxy=proxy.url, no_proxy="other.example,127.0.0.0/8")
        until(lambda: server.said("get-job"))
        assert proxy.asked == []


def test_sighup_takes_another_proxy_and_none(
    server: FakeServer, start_agent: StartAgent, until: Until, tmp_path: Path
) -> None:
    env = tmp_path / "kraken.env"
    with small_proxy() as first, small_proxy() as second:
        env.write_text(f"KRAKEN_SERVER_ADDR={server.url}\nno_proxy=\nhttp_proxy={first.url}\n")
        agent = start_agent(no_proxy="", http_proxy=first.url)
        until(lambda: first.asked)
        env.write_text(f"KRAKEN_SERVER_ADDR={server.url}\nno_proxy=\nhttp_proxy={second.url}\n")
        agent.signal(signal.SIGHUP)
        until(lambda: second.asked)
        env.write_text(f"KRAKEN_SERVER_ADDR={server.url}\n")
        agent.signal(signal.SIGHUP)
        until(lambda: agent.said().count("settings were read again") == 2)
        before = len(server.messages)
        asked = len(second.asked)
        until(lambda: len(server.messages) > before)
        assert len(second.asked) == asked


@pytest.mark.parametrize(
    ("server", "environment", "proxy"),
    [
        ("http://h", {"http_proxy": "http://proxy:3128"}, "proxy:3128"),
        ("http://h", {"HTTP_PROXY": "proxy:8080"}, "proxy:8080"),
        ("http://h", {"HTTP_PROXY": "http://upper", "http_proxy": "http://lower/"}, "lower:3128"),
        ("http://h", {"HTTP_PROXY": "http://upper", "http_proxy": ""}, None),
        ("http://h", {"https_proxy": "http://proxy"}, None),
        ("https://h", {"http_proxy": "http://proxy"}, None),
        ("https://h", {"https_proxy": "http://[fd00::1]:3"}, "[fd00::1]:3"),
        ("http://h", {}, None),
    ],
)
def test_which_variable_counts(server: str, environment: dict[str, str], proxy: str | None) -> None:
    found = proxy_for(parse_server(server), environment)
    assert (None if found is None else str(found)) == proxy


@pytest.mark.parametrize(
    ("server", "exceptions", "direct"),
    [
        ("http://ci.example.com", "example.com", True),
        ("http://ci.example.com", ".example.com", True),
        ("http://ci.example.com", "*.example.com", True),
        ("http://CI.example.com", "localhost, ci.EXAMPLE.com", True),
        ("http://ci.example.com:6363", "ci.example.com:6363", True),
        ("http://ci.example.com:6363", "ci.example.com:80", False),
        ("http://badexample.com", "example.com", False),
        ("http://ci.example.com", "*", True),
        ("http://10.1.2.3", "10.0.0.0/8", True),
        ("http://11.1.2.3", "10.0.0.0/8", False),
        ("http://ci.example.com", "10.0.0.0/8", False),
        ("http://[fd00::1]:6363", "fd00::1", True),
        ("http://[fd00::1]:6363", "[fd00::1]:6363", True),
        ("http://[fd00::1]:6363", "[fd00::1]:80", False),
        ("http://h", " , ", False),
    ],
)
def test_which_servers_are_exceptions(server: str, exceptions: str, direct: bool) -> None:
    assert (proxy_for(parse_server(server), {**PROXY, "no_proxy": exceptions}) is None) is direct


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("socks5://me:hidden@proxy:1080", "http_proxy names a socks5 proxy"),
        ("http://me:hidden@:3128", "http_proxy is not the URL of a proxy"),
        ("http://me:hidden@proxy:many", "http_proxy is not the URL of a proxy"),
    ],
)
def test_what_is_no_http_proxy_is_one_clear_line(
    server: FakeServer, start_agent: StartAgent, value: str, said: str
) -> None:
    agent = start_agent(http_proxy=value, no_proxy="")
    assert agent.wait() == 2
    assert said in agent.said()
    assert "hidden" not in agent.said()
    assert agent.said().count("\n") == 1
