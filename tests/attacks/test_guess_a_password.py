"""Somebody tries passwords, or has found a token."""

from __future__ import annotations

import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import requests

from kraken_fleet.listen import attempts
from kraken_fleet.server.testing import RunningServer, running
from tests.unit.server.conftest import Api


def guess(server: RunningServer, password: str, user: str = "admin") -> requests.Response:
    return requests.post(f"{server.url}/api/sessions", json={"user": user, "password": password}, timeout=60)


def test_passwords_cannot_be_tried_quickly_one_by_one_or_all_at_once(server: RunningServer) -> None:
    with ThreadPoolExecutor(8) as pool:
        seen = Counter(answer.status_code for answer in pool.map(lambda n: guess(server, f"guess-{n}"), range(60)))
    assert seen[401] <= 6
    assert seen[429] >= 54
    refused = guess(server, server.password)
    assert refused.status_code == 429
    assert "try again in" in refused.json()["detail"]


def test_a_forgetful_person_still_gets_in(server: RunningServer) -> None:
    assert [guess(server, "wrong").status_code for _ in range(4)] == [401] * 4
    assert guess(server, server.password).status_code == 201


def test_one_peer_cannot_try_one_account_after_another(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # A busy machine takes longer than a minute for thirty passwords.
    monkeypatch.setattr(attempts, "WINDOW_SECONDS", 3600.0)
    seen = [guess(server, "wrong", f"user{number}").status_code for number in range(35)]
    assert seen == [401] * 30 + [429] * 5


def test_the_old_password_cannot_be_tried_quickly_by_who_has_a_token(api: Api) -> None:
    body = {"password_old": "wrong", "password_new": "x"}
    seen = [api.call("PUT", "/api/users/1/password", body).status_code for _ in range(7)]
    assert seen == [400] * 5 + [429] * 2


def test_a_new_password_ends_all_other_sessions(server: RunningServer) -> None:
    stolen, own = Api(server), Api(server)
    body = {"password_old": server.password, "password_new": "another-password"}
    assert own.call("PUT", "/api/users/1/password", body).status_code == 204
    assert stolen.call("GET", "/api/version").status_code == 401
    assert own.call("GET", "/api/version").status_code == 200


def test_a_token_ends_with_time(tmp_path: Path) -> None:
    with running(tmp_path / "data", session_days=1, watchdog_interval=1000) as server:
        api = Api(server)
        with closing(sqlite3.connect(tmp_path / "data/server.sqlite")) as database:
            database.execute("UPDATE sessions SET created = created - 86500")
            database.commit()
        assert api.call("GET", "/api/version").status_code == 401
