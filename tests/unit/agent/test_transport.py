"""HTTP as the agent speaks it, against sockets that answer in every way, and over TLS."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kraken_agent import http_answer
from kraken_agent.http_answer import HttpAnswer
from kraken_agent.protocol import parse_server
from kraken_agent.reactor import Reactor
from kraken_agent.transport import InterruptedExchangeError, StatusError, Transport, TransportError

from tests.unit.agent.conftest import StartAgent
from tests.unit.agent.fake_server import FakeServer

Until = Callable[..., None]


@pytest.fixture
def reactor() -> Reactor:
    return Reactor()


class Once:
    """A server that takes one request, says something, and hangs up or not."""

    def __init__(self, *pieces: bytes, pause: float = 0.0, hang_up: bool = True) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.request = b""
        self._pieces, self._pause, self._hang_up = pieces, pause, hang_up
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        while b"}" not in self.request and b"GET" not in self.request:
            self.request += connection.recv(65536)
        for piece in self._pieces:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(piece)
            time.sleep(self._pause)
        if self._hang_up:
            connection.close()
        else:
            time.sleep(60)


def exchange(reactor: Reactor, server: Once, seconds: float = 5.0, **kwargs: Any) -> bytes:
    return Transport(reactor, **kwargs).exchange(parse_server(server.url), "backend", b"{}", seconds)


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",),
        (b"HTTP/1.0 200 OK\r\n\r\nhel", b"lo"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n", b"2\r\nlo\r\n0\r\n\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-LENGTH:5\r\n\r\nhello",),
        tuple(bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ],
)
def test_answers_are_read_whole(reactor: Reactor, pieces: tuple[bytes, ...]) -> None:
    server = Once(*pieces)
    assert exchange(reactor, server) == b"hello"
    assert server.request.startswith(b"POST /backend HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Content-Type: application/json\r\nContent-Length: 2\r\n" in server.request


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"x" * 100_000,
    ],
)
def test_what_is_no_answer_is_said(reactor: Reactor, answer: bytes) -> None:
    with pytest.raises(TransportError):
        exchange(reactor, Once(answer))


def test_other_statuses_are_errors_with_their_number(reactor: Reactor) -> None:
    with pytest.raises(StatusError) as error:
        exchange(reactor, Once(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"))
    assert error.value.status == 503


def test_nobody_there_is_said_with_the_address(reactor: Reactor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransportError, match=f"127.0.0.1:{port}.*refused"):
        Transport(reactor).exchange(parse_server(f"127.0.0.1:{port}"), "backend", b"{}", 5)


def test_silence_ends_in_time_and_the_loop_turns_meanwhile(reactor: Reactor) -> None:
    ticks: list[float] = []

    def tick() -> None:
        ticks.append(time.monotonic())
        reactor.call_in(0.1, tick)

    tick()
    began = time.monotonic()
    with pytest.raises(TransportError, match="too long"):
        exchange(reactor, Once(hang_up=False), seconds=2.0)
    assert 1.9 < time.monotonic() - began < 30
    assert len(ticks) > 4


def test_a_trickle_does_not_outlive_the_limit(reactor: Reactor) -> None:
    began = time.monotonic()
    with pytest.raises(TransportError, match="too long"):
        exchange(reactor, Once(*[b"x"] * 600, pause=0.1), seconds=1.0)
    assert time.monotonic() - began < 30


def test_what_was_not_sent_when_an_exchange_failed_is_never_sent(reactor: Reactor) -> None:
    """It waits in the kernel, for a server that is busy with something else."""
    message = b"x" * 60_000
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = parse_server(f"127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(TransportError, match="too long"):
            Transport(reactor).exchange(url, "backend", message, 1.0)
        connection, _ = listener.accept()
        arrived = b""
        with connection, contextlib.suppress(ConnectionResetError):
            while data := connection.recv(65536):
                arrived += data
    assert not arrived.endswith(message)


@pytest.mark.parametrize("head", [b"", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 1001\r\n"])
def test_an_answer_that_never_ends_is_not_kept(monkeypatch: pytest.MonkeyPatch, head: bytes) -> None:
    monkeypatch.setattr(http_answer, "_MOST_BODY_BYTES", 1000)
    pieces = itertools.chain([b"HTTP/1.1 200 OK\r\n" + head + b"\r\n"], itertools.repeat(b"1\r\nx\r\n"))
    with pytest.raises(ValueError, match="too long"):
        HttpAnswer(lambda: next(pieces)).read()


def test_waiting_can_be_interrupted(reactor: Reactor) -> None:
    end = time.monotonic() + 0.3
    reactor.call_at(end, lambda: None)
    with pytest.raises(InterruptedExchangeError):
        exchange(reactor, Once(hang_up=False), interrupted=lambda: time.monotonic() >= end)


def test_a_server_with_a_known_certificate_is_talked_to_over_tls(
    tls_server: tuple[str, Path], server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    url, certificate = tls_server
    job = server.add_job({"cmd": "echo over tls"})
    start_agent(url=url, SSL_CERT_FILE=str(certificate))
    until(lambda: job.finished)
    assert server.sink.output(job.id) == ["over tls"]


def test_a_server_with_an_unknown_certificate_is_not_talked_to(
    tls_server: tuple[str, Path], server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    agent = start_agent(url=tls_server[0])
    until(lambda: "trying again" in agent.said())
    assert "certificate" in agent.said().lower()
    assert server.messages == []
