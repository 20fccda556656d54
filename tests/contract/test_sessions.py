"""Logging in and out, and what every endpoint says to those who are not allowed."""

from __future__ import annotations

import pytest

from tests.contract.hand_agents import client_of
from tests.contract.kraken_server import KrakenServer
from tests.contract.records import NO_TOKEN, UNKNOWN_URL, WRONG_METHOD, WRONG_TOKEN, problem
from tests.unique_names import unique_name
from tests.waiting import eventually

REFUSED = problem(401, "missing user or incorrect password")


@pytest.mark.parametrize("prefix", ["/api", "/bk/api"])
def test_a_password_gives_a_token(server: KrakenServer, prefix: str) -> None:
    said = server.api(
        "POST", "/sessions", {"user": server.user, "password": server.password}, token=None, prefix=prefix
    )
    assert said.status == 201
    assert set(said.body) == {"id", "roles", "token", "user"}
    assert said.body["roles"] == {"projects": {}, "superadmin": True}
    assert said.body["user"] == {"email": "", "enabled": True, "id": 1, "name": "admin", "superadmin": True}
    assert len(said.body["token"]) == 32


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        ({"user": "admin", "password": "certainly wrong"}, 401, REFUSED),
        ({"user": "nobody", "password": "x"}, 401, REFUSED),
        ({"user": "admin"}, 400, problem(400, "bad credentials")),
        ({}, 400, problem(400, "bad credentials")),
        (..., 400, problem(400, "None is not of type 'object'")),
        ({"user": "admin", "password": 5}, 400, problem(400, "5 is not of type 'string' - 'password'")),
    ],
)
def test_bad_credentials_are_refused(server: KrakenServer, body: object, status: int, answer: object) -> None:
    said = server.api("POST", "/sessions", body, token=None)
    assert (said.status, said.body, said.content_type) == (status, answer, "application/problem+json")


def test_a_body_that_is_not_json_is_refused(server: KrakenServer) -> None:
    said = server.api("POST", "/sessions", token=None, data="not json", headers={"Content-Type": "application/json"})
    assert (said.status, said.body) == (400, problem(400, "Request body is not valid JSON"))


def test_a_user_reads_the_own_session_only(server: KrakenServer) -> None:
    own = server.api("GET", f"/sessions/{server.token}")
    assert (own.status, own.body["token"]) == (200, server.token)
    other = server.api("GET", "/sessions/abc")
    assert (other.status, other.body) == (403, problem(403, "only user can get its session data"))


def test_after_log_out_the_token_is_refused(server: KrakenServer) -> None:
    token = server.api("POST", "/sessions", {"user": server.user, "password": server.password}, token=None).body[
        "token"
    ]
    assert server.api("GET", "/version", token=token).status == 200
    ended = server.api("DELETE", f"/sessions/{token}", token=token)
    assert (ended.status, ended.body) == (204, "")
    after = server.api("GET", "/version", token=token)
    assert (after.status, after.body) == (401, problem(401, WRONG_TOKEN))


def test_a_user_is_found_by_name_with_its_role(server: KrakenServer) -> None:
    with client_of(server) as client:
        admin, plain = client.find_user(server.user), client.find_user("demo")
        assert client.find_user(unique_name("nobody")) is None
    assert (admin and admin.enabled, admin and admin.superadmin) == (True, True)
    assert (plain and plain.enabled, plain and plain.superadmin) == (True, False)


def test_an_administrator_is_made_and_unmade_and_an_account_disabled(server: KrakenServer) -> None:
    name = unique_name("person")
    account = {"user": name, "password": "a person's password"}
    number = server.api("POST", "/users", {"name": name, "password": account["password"]}).body["id"]
    signed_in = server.api("POST", "/sessions", account, token=None)
    token, rights = signed_in.body["token"], {"projects": {}, "superadmin": False}
    assert (signed_in.body["roles"], server.api("GET", "/agents", token=token).status) == (rights, 403)
    for superadmin, status in ((True, 200), (True, 200), (False, 403)):
        said = server.api("PATCH", f"/users/{number}", {"superadmin": superadmin})
        assert (said.status, said.body["superadmin"], said.body["projects"]) == (201, superadmin, {})
        assert server.api("GET", f"/users/{number}").body["superadmin"] is superadmin
        # A Kraken server has several processes, and each hears of it a moment later.
        eventually(lambda: server.api("GET", "/agents", token=token).status, status.__eq__, 60)
    said = server.api("PATCH", f"/users/{number}", {"enabled": False})
    assert (said.status, said.body["enabled"], said.body["superadmin"]) == (201, False, False)
    refused = server.api("POST", "/sessions", account, token=None)
    assert (refused.status, refused.body["detail"]) == (401, "user account is disabled")
    assert server.api("PATCH", f"/users/{number}", {"enabled": True}).body["enabled"] is True
    assert server.api("POST", "/sessions", account, token=None).status == 201


def test_the_rights_of_nobody_cannot_be_changed(server: KrakenServer) -> None:
    said = server.api("PATCH", "/users/999999999", {"enabled": False})
    assert (said.status, said.body) == (404, problem(404, "user 999999999 not found"))
    said = server.api("PATCH", "/users/1", {"enabled": "no"})
    assert (said.status, said.body) == (400, problem(400, "'no' is not of type 'boolean' - 'enabled'"))


def test_the_version_needs_a_token(server: KrakenServer) -> None:
    said = server.api("GET", "/version")
    assert (said.status, said.body, said.content_type) == (200, {"version": "1.7.36"}, "application/json")
    refused = server.api("GET", "/version", token=None)
    assert (refused.status, refused.body) == (401, problem(401, NO_TOKEN))


READS = [
    "/agents",
    "/agents/1",
    "/agents/1/jobs",
    "/groups",
    "/groups/1",
    "/systems",
    "/projects",
    "/users",
    "/users/1",
    "/version",
    "/diagnostics",
]
WRITES = [
    ("PATCH", "/agents", [{"id": 999999999, "authorized": True}]),
    ("PUT", "/agents/999999999", {"disabled": True}),
    ("DELETE", "/agents/999999999", ...),
    ("POST", "/groups", {"name": "x"}),
    ("PUT", "/groups/999999999", {"name": "x"}),
    ("DELETE", "/groups/999999999", ...),
    ("PUT", "/settings", {"general": {"server_url": "x"}}),
    ("POST", "/projects", {"name": "x"}),
    ("PATCH", "/users/999999999", {"superadmin": True}),
]
ALL_CALLS = [("GET", path, ...) for path in READS] + WRITES
each_call = pytest.mark.parametrize(
    ("method", "path", "body"), ALL_CALLS, ids=[f"{method} {path}" for method, path, _ in ALL_CALLS]
)


@each_call
def test_without_a_token_nothing_is_said_or_done(server: KrakenServer, method: str, path: str, body: object) -> None:
    said = server.api(method, path, body, token=None)
    assert (said.status, said.body) == (401, problem(401, NO_TOKEN))


@each_call
def test_an_unknown_token_is_refused(server: KrakenServer, method: str, path: str, body: object) -> None:
    said = server.api(method, path, body, token="deadbeef")
    assert (said.status, said.body) == (401, problem(401, WRONG_TOKEN))


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({"Authorization": "Basic YWRtaW46YWRtaW4="}, NO_TOKEN),
        ({"Authorization": "token"}, "Invalid authorization header"),
        ({"Cookie": "kk_session_token=abc"}, NO_TOKEN),
    ],
)
def test_only_bearer_tokens_count(server: KrakenServer, headers: dict[str, str], detail: str) -> None:
    said = server.api("GET", "/agents", token=None, headers=headers)
    assert (said.status, said.body) == (401, problem(401, detail))


@pytest.mark.parametrize(
    ("method", "path", "body", "detail"),
    [
        ("GET", "/agents", ..., "only superadmin can get agents"),
        ("GET", "/diagnostics", ..., "only superadmin can get diagnostics"),
        ("GET", "/users", ..., "only superadmin role can get users"),
        ("GET", "/users/1", ..., "only superadmin role can get user"),
        ("PATCH", "/users/1", {"superadmin": True}, "only superadmin role can create users"),
        ("PATCH", "/agents", [{"id": 1, "authorized": True}], "only superadmin can modify agents"),
        ("PUT", "/settings", {"general": {"server_url": "x"}}, "only superadmin can get modify settings"),
    ],
)
def test_who_is_not_an_administrator_is_told_so(
    server: KrakenServer, method: str, path: str, body: object, detail: str
) -> None:
    said = server.api(method, path, body, token=server.plain)
    assert (said.status, said.body) == (403, problem(403, detail))


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/nope", 404, UNKNOWN_URL),
        ("GET", "/agents/abc", 404, UNKNOWN_URL),
        ("PATCH", "/groups", 405, WRONG_METHOD),
        ("PATCH", "/settings", 405, WRONG_METHOD),
        ("POST", "/agents", 405, WRONG_METHOD),
    ],
)
def test_unknown_paths_and_methods(server: KrakenServer, method: str, path: str, status: int, detail: str) -> None:
    said = server.api(method, path, ... if method == "GET" else {"name": "x"})
    assert (said.status, said.body) == (status, problem(status, detail))
