"""Logging in and being recognised, in the real server's words (recorded answers, sections 1, 2 and 15)."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests

from kraken_fleet.server.testing import RunningServer

from ..conftest import Api

UNVERIFIED = "The server could not verify that you are authorized to access the URL requested."


def problem(status: int, title: str, detail: str) -> dict[str, Any]:
    return {"detail": detail, "status": status, "title": title, "type": "about:blank"}


def test_login_gives_a_token_the_user_and_the_roles(server: RunningServer) -> None:
    for prefix in ("/api", "/bk/api"):
        body = {"user": "admin", "password": server.password}
        answer = requests.post(f"{server.url}{prefix}/sessions", json=body, timeout=60)
        assert answer.status_code == 201
        data = answer.json()
        assert re.fullmatch(r"[0-9a-f]{32}", data["token"])
        assert data["user"] == {"email": "", "enabled": True, "id": 1, "name": "admin", "superadmin": True}
        assert data["roles"] == {"projects": {}, "superadmin": True}


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"user": "admin", "password": "x"}, 401, "missing user or incorrect password"),
        ({"user": "nobody", "password": "x"}, 401, "missing user or incorrect password"),
        ({"user": "admin"}, 400, "bad credentials"),
        ({}, 400, "bad credentials"),
        (None, 400, "None is not of type 'object'"),
        ({"user": "admin", "password": 5}, 400, "5 is not of type 'string' - 'password'"),
    ],
)
def test_login_that_fails_says_why(server: RunningServer, body: Any, status: int, detail: str) -> None:
    answer = requests.post(f"{server.url}/api/sessions", json=body, timeout=60)
    title = {400: "Bad Request", 401: "Unauthorized"}[status]
    assert (answer.status_code, answer.json()) == (status, problem(status, title, detail))
    assert answer.headers["content-type"] == "application/problem+json"


def test_login_with_something_else_than_json_is_refused(server: RunningServer) -> None:
    answer = requests.post(f"{server.url}/api/sessions", data="not json", timeout=60)
    assert answer.json() == problem(400, "Bad Request", "Request body is not valid JSON")


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({}, "No authorization token provided"),
        ({"Authorization": "Basic YWRtaW46YWRtaW4="}, "No authorization token provided"),
        ({"Cookie": "kk_session_token=x"}, "No authorization token provided"),
        ({"Authorization": "token"}, "Invalid authorization header"),
    ],
)
def test_every_call_needs_a_bearer_token(server: RunningServer, headers: dict[str, str], detail: str) -> None:
    for path in ("/version", "/agents", "/groups", "/systems", "/projects", "/jobs/1"):
        answer = requests.get(f"{server.url}/api{path}", headers=headers, timeout=60)
        assert (answer.status_code, answer.json()["detail"]) == (401, detail), path


def test_an_unknown_token_is_refused(server: RunningServer) -> None:
    answer = requests.get(f"{server.url}/api/agents", headers={"Authorization": "Bearer deadbeef"}, timeout=60)
    assert answer.status_code == 401
    assert answer.json()["detail"].startswith(UNVERIFIED)


def test_only_its_owner_sees_a_session_and_ends_it(api: Api) -> None:
    assert api.get(f"/sessions/{api.token}")["token"] == api.token
    other = api.call("GET", "/api/sessions/abc")
    assert (other.status_code, other.json()["detail"]) == (403, "only user can get its session data")
    assert api.call("DELETE", f"/api/sessions/{api.token}").status_code == 204
    assert api.call("GET", "/api/projects").status_code == 401


def test_version_unknown_path_and_unknown_method(api: Api) -> None:
    assert api.get("/version") == {"version": "1.7.36"}
    missing = api.call("GET", "/api/nope")
    assert (missing.status_code, missing.json()["title"]) == (404, "Not Found")
    assert missing.json()["detail"].startswith("The requested URL was not found on the server.")
    wrong = api.call("PATCH", "/api/groups", {"name": "x"})
    assert (wrong.status_code, wrong.json()["detail"]) == (405, "The method is not allowed for the requested URL.")
    assert api.call("POST", "/api/agents", {"name": "x", "address": "1.2.3.4"}).status_code == 405


def test_who_is_no_administrator_is_told_so(server: RunningServer, api: Api) -> None:
    assert api.call("POST", "/api/users", {"name": "demo", "password": "demo-password"}).status_code == 201
    demo = Api(server, "demo", "demo-password")
    for method, path, body, detail in (
        ("GET", "/agents", None, "only superadmin can get agents"),
        ("PATCH", "/agents", [{"id": 1, "authorized": True}], "only superadmin can modify agents"),
        ("PUT", "/settings", {"general": {}}, "only superadmin can get modify settings"),
    ):
        answer = demo.call(method, f"/api{path}", body)
        assert (answer.status_code, answer.json()) == (403, problem(403, "Forbidden", detail))
    assert demo.get("/projects") == {"items": [], "total": 0}


def test_a_changed_password_replaces_the_old_one(server: RunningServer, api: Api) -> None:
    body = {"password_old": server.password, "password_new": "something else"}
    assert api.call("PUT", "/api/users/1/password", body).status_code == 204
    old = {"user": "admin", "password": server.password}
    assert requests.post(f"{server.url}/api/sessions", json=old, timeout=60).status_code == 401
    assert Api(server, password="something else").get("/version")
