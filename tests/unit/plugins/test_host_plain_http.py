"""The one GET that a host asks with a socket alone."""

from __future__ import annotations

import socket
import threading

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import plain_http

DATE = b"Date: Sat, 28 Nov 2026 22:00:00 GMT\r\n"
SECONDS = 1795903200.0


def asked(*parts: bytes) -> plain_http.Answer | None:
    """Return what is read of an answer that arrives in these parts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _address = listening.accept()
            with connection:
                connection.recv(4096)
                for part in parts:
                    connection.sendall(part)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return plain_http.get("127.0.0.1", listening.getsockname()[1], "/backend", 5)
        finally:
            thread.join()


def test_status_and_date_are_read_also_when_they_come_in_pieces() -> None:
    answer = asked(b"HTTP/1.1 405 Method Not Allowed\r\nServer: any\r\nDa", DATE[2:] + b"\r\n")
    assert answer == plain_http.Answer(405, SECONDS)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 405 Method Not Allowed\r\nServer: no date\r\n\r\n",
        b"HTTP/1.1 405 Method Not Allowed\r\n\r\n" + DATE + b"\r\n",
        b"HTTP/1.1 405 Method Not Allowed\r\n" + DATE.replace(b"Nov", b"Xyz") + b"\r\n",
    ],
)
def test_what_cannot_be_read_is_left_to_pythons_own_client(text: bytes) -> None:
    assert asked(text) is None


def test_a_proxy_in_any_spelling_is_not_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert plain_http.is_direct()
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    assert not plain_http.is_direct()
