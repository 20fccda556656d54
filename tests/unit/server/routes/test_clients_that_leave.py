"""Clients that give up before their request was read, as they do when the server was busy for longer than they wait."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from kraken_fleet.server import ServerSettings
from kraken_fleet.server.app import create_app

SCOPE: dict[str, Any] = {
    "type": "http",
    "http_version": "1.1",
    "scheme": "http",
    "method": "POST",
    "path": "/api/sessions",
    "raw_path": b"/api/sessions",
    "root_path": "",
    "query_string": b"",
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"100")],
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 2),
}


def test_a_client_that_left_is_no_failure_of_the_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    answers = []

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def keep(message: Any) -> None:
        answers.append(message)

    async def ask() -> None:
        app = create_app(ServerSettings(tmp_path, port=0, log_port=0))
        async with app.router.lifespan_context(app):
            await app(dict(SCOPE), gone, keep)

    with caplog.at_level(logging.INFO, "kraken_fleet"):
        asyncio.run(ask())
    assert answers[0]["status"] == 400
    assert "POST /api/sessions: the client left before its request was read" in caplog.text
    assert "Traceback" not in caplog.text
