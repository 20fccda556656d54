"""One console over several servers: each has its own pages, account and cookie."""

from __future__ import annotations

import json
from pathlib import Path

import requests

from kraken_fleet.server.testing import RunningServer
from kraken_fleet.web import ConsoleSettings, create_consoles
from tests.console_server import serving_application
from tests.waiting import eventually


def test_each_server_has_its_own_account_and_one_page_lists_them(server: RunningServer, tmp_path: Path) -> None:
    servers = {
        name: ConsoleSettings(url, tmp_path / name, name=name, audit_dir=tmp_path, poll_seconds=0)
        for name, url in (("berlin", server.url), ("oslo", "http://127.0.0.1:9"))
    }
    with serving_application(create_consoles(servers)) as console, requests.Session() as http:
        first = http.get(f"{console}/", timeout=60).text
        assert first.count("Sign in to see them") == 2
        assert "Content-Security-Policy" in http.get(f"{console}/", timeout=60).headers
        assert http.get(f"{console}/static/console.css", timeout=60).status_code == 200
        account = {"user": server.user, "password": server.password}
        answer = http.post(f"{console}/berlin/sign-in", data=account, timeout=60)
        assert answer.url == f"{console}/berlin/agents"
        assert "All servers" in answer.text
        assert http.post(f"{console}/oslo/sign-in", data=account, timeout=60).status_code == 502
        page = eventually(lambda: http.get(f"{console}/", timeout=60).text, lambda text: "discovered" in text)
        assert page.count("Sign in to see them") == 1
        assert http.get(f"{console}/oslo/agents", timeout=60, allow_redirects=False).status_code == 303
        csrf = answer.text.partition('name="csrf" value="')[2].partition('"')[0]
        assert http.post(f"{console}/berlin/sign-out", data={"csrf": csrf}, timeout=60).status_code == 200
        assert http.get(f"{console}/", timeout=60).text.count("Sign in to see them") == 2
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert [(line["action"], line["server"], line["result"] == "ok") for line in lines] == [
        ("sign in", server.url, True),
        ("sign in", "http://127.0.0.1:9", False),
        ("sign out", server.url, True),
    ]
