"""The record of pulled images: what an engine could not remove stays in it. The daemon here says what LXD's says."""

from __future__ import annotations

import json
import socketserver
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from kraken_agent.images import LXD, Record

from tests.background import serving


class Daemon(socketserver.ThreadingUnixStreamServer):
    """Has one image, and removes it in the background."""

    outcome: dict[str, str]

    def get_request(self) -> tuple[Any, Any]:
        connection, _ = super().get_request()
        return connection, ("lxd", 0)  # what the handler writes into its log


class _Handler(BaseHTTPRequestHandler):
    server: Daemon

    def do_GET(self) -> None:
        self._answer(["/1.0/images/abc"] if self.path == "/1.0/images" else self.server.outcome)

    def do_DELETE(self) -> None:
        self._answer({"id": "7", "status": "Running"})

    def _answer(self, metadata: object) -> None:
        body = json.dumps({"type": "sync", "metadata": metadata}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("lxd")  # the path of a socket has to be short
    monkeypatch.setenv("LXD_DIR", str(folder))
    with Daemon(str(folder / "unix.socket"), _Handler) as made, serving(made):
        yield made


@pytest.mark.parametrize(
    ("outcome", "is_gone"),
    [
        ({"status": "Success"}, True),
        ({"status": "Failure", "err": "Image is in use"}, False),
        ({"status": "Running", "description": "Deleting image"}, False),
    ],
    ids=["removed", "refused", "takes longer"],
)
def test_an_image_of_lxd_is_forgotten_when_it_is_gone(
    outcome: dict[str, str], is_gone: bool, daemon: Daemon, tmp_path: Path
) -> None:
    daemon.outcome = {"id": "7", **outcome}
    record = Record(str(tmp_path))
    record.note(LXD, "debian", "abc", is_pulled=True)
    assert record.remove(record.beyond(0, 0.0, 0.0)) is is_gone
    assert [image.name for image in record.beyond(0, 0.0, 0.0)] == ([] if is_gone else ["debian"])
