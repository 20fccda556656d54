"""What the preflight check sees on a host. Real sockets; nothing is patched."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import checks as preflight

from tests.background import serving


class WebServer(BaseHTTPRequestHandler):
    """Answers as the server's class attributes say."""

    status = 405
    clock_offset = 0.0
    body = b"{}"

    def do_GET(self) -> None:
        self.send_response_only(self.status)
        self.send_header("Date", formatdate(time.time() + self.clock_offset, usegmt=True))
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: object) -> None:
        pass


# Its handler's class, which a test may change, and its port.
Running = tuple[type[WebServer], int]


@pytest.fixture
def web_server() -> Iterator[Running]:
    handler = type("ThisServer", (WebServer,), {})
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        yield handler, server.server_port


def by_check(findings: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    return {str(finding["check"]): finding for finding in findings}


def test_a_kraken_server_is_reached_step_by_step(web_server: Running) -> None:
    found = by_check(preflight.check_server(f"http://127.0.0.1:{web_server[1]}", 2, ""))
    assert list(found) == ["dns", "tcp", "http", "clock"]
    assert all(finding["ok"] for finding in found.values())


def test_the_server_may_be_given_without_a_scheme(web_server: Running) -> None:
    assert by_check(preflight.check_server(f"127.0.0.1:{web_server[1]}", 2, ""))["http"]["ok"]


def test_another_web_server_is_told_from_kraken(web_server: Running) -> None:
    web_server[0].status = 200
    http = by_check(preflight.check_server(f"http://127.0.0.1:{web_server[1]}", 2, ""))["http"]
    assert http["ok"] is False
    assert "Something else than a Kraken server" in str(http["remedy"])


def test_a_clock_that_is_off_is_a_finding_with_its_remedy(web_server: Running) -> None:
    web_server[0].clock_offset = 300
    clock = by_check(preflight.check_server(f"http://127.0.0.1:{web_server[1]}", 2, ""))["clock"]
    assert clock["ok"] is False
    assert "Synchronise" in str(clock["remedy"])


def test_a_closed_port_ends_the_row_at_tcp() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    found = preflight.check_server(f"http://127.0.0.1:{port}", 2, "")
    assert [(finding["check"], finding["ok"]) for finding in found] == [("dns", True), ("tcp", False)]
    assert "refused" in found[-1]["detail"].lower()


def test_an_unknown_name_ends_the_row_at_dns() -> None:
    found = preflight.check_server("http://no-such-host.invalid:6363", 2, "")
    assert [(finding["check"], finding["ok"]) for finding in found] == [("dns", False)]


def test_an_s3_store_is_known_by_its_refusal(web_server: Running) -> None:
    web_server[0].status, web_server[0].body = 403, b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"
    assert preflight.check_minio(f"127.0.0.1:{web_server[1]}", 2)["ok"]


def test_a_web_page_is_no_s3_store(web_server: Running) -> None:
    web_server[0].status, web_server[0].body = 404, b"not here"
    assert preflight.check_minio(f"127.0.0.1:{web_server[1]}", 2)["ok"] is False


def test_the_log_record_arrives_with_every_field_that_the_proxy_requires() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as proxy:
        proxy.bind(("127.0.0.1", 0))
        proxy.settimeout(2)
        sent = preflight.send_log_record(f"127.0.0.1:{proxy.getsockname()[1]}", "n0nce")
        record = json.loads(proxy.recv(65536))
    assert sent["ok"] is None, "a datagram alone proves nothing"
    assert record["tool"] == "n0nce"
    assert {"@timestamp", "message", "host", "path", "lineno", "level", "service"} <= record.keys()
    time.strptime(record["@timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ")


def test_the_disk_is_judged_where_the_directory_will_be(tmp_path: Path) -> None:
    enough = preflight.check_disk(str(tmp_path / "not" / "yet" / "there"), 1)
    assert enough["ok"]
    assert str(tmp_path) in enough["detail"]
    assert preflight.check_disk(str(tmp_path), 10**9)["ok"] is False


def test_a_proxy_is_what_has_to_be_reached(web_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy asks the server; its answer is the server's. The server itself has a name that only the proxy knows."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{web_server[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    found = by_check(preflight.check_server("http://kraken.invalid:6363", 2, ""))
    assert list(found) == ["dns", "tcp", "http", "clock"]
    assert all(finding["ok"] for finding in found.values())
    monkeypatch.setenv("no_proxy", "kraken.invalid")
    assert by_check(preflight.check_server("http://kraken.invalid:6363", 2, ""))["dns"]["ok"] is False
