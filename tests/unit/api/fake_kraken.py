"""A server on a real socket that answers as the recorded Kraken 1.7.36 did."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from tests.unit.api.recorded import BAD_TOKEN, NOT_FOUND, PASSWORD, Reply, Request, group_json, problem

Handler = Callable[[Request], Reply]


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of these tests."""


class FakeKraken:
    """Sessions, agents and groups with the real server's answers, its faults included.

    `script` puts replies before the usual ones; `requests` is all that came in.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.tokens: set[str] = set()
        self.prefixes: tuple[str, ...] = ("/bk/api", "/api")
        self.agents: dict[int, dict[str, object]] = {}
        self.groups: dict[int, dict[str, object]] = {1: group_json(1, "all")}
        self.page_maximum = 1000
        self.dated = True  # whether answers say the server's time
        self.busy = self.most_busy = 0
        self._scripts: dict[tuple[str, str], list[Reply]] = {}
        self._handlers: dict[tuple[str, str], Handler] = {}
        self._lock = threading.Lock()
        self._server = _QuietServer(("127.0.0.1", 0), self._handler_class())
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def script(self, method: str, path: str, *replies: Reply) -> None:
        self._scripts.setdefault((method, path), []).extend(replies)

    def on(self, method: str, path: str, handler: Handler) -> None:
        self._handlers[method, path] = handler

    def count(self, method: str, path: str) -> int:
        return len([one for one in self.requests if (one.method, one.path) == (method, path)])

    def bodies(self, method: str, path: str) -> list[object]:
        return [one.body for one in self.requests if (one.method, one.path) == (method, path)]

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reply_to(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            script = self._scripts.get((request.method, request.path))
            scripted = script.pop(0) if script else None
            self.busy += 1
            self.most_busy = max(self.busy, self.most_busy)
        try:
            reply = scripted or self._usual(request)
            time.sleep(reply.delay)
            return reply
        finally:
            with self._lock:
                self.busy -= 1

    def _usual(self, request: Request) -> Reply:
        if (request.method, request.path) == ("POST", "/sessions"):
            return self._sign_in(request)
        if (request.method, request.path) in self._handlers:
            return self._handlers[request.method, request.path](request)
        if request.token is None:
            return problem(401, "No authorization token provided")
        if request.token not in self.tokens:
            return problem(401, BAD_TOKEN)
        if (request.method, request.path) == ("DELETE", f"/sessions/{request.token}"):
            self.tokens.remove(request.token)
            return Reply(204, raw=b"")
        with self._lock:
            return self._authorized(request)

    def _sign_in(self, request: Request) -> Reply:
        if request.body != {"user": "admin", "password": PASSWORD}:
            return problem(401, "missing user or incorrect password")
        token = f"{self.count('POST', '/sessions'):032x}"
        self.tokens.add(token)
        user = {"email": "", "enabled": True, "id": 1, "name": "admin", "superadmin": True}
        roles = {"projects": {}, "superadmin": True}
        return Reply(201, {"id": 5, "roles": roles, "token": token, "user": user})

    def _authorized(self, request: Request) -> Reply:
        if request.path == "/version":
            return Reply(body={"version": "1.7.36"})
        kind, _, key = request.path.removeprefix("/").partition("/")
        found = getattr(self, f"_{request.method.lower()}_{kind}{'_one' if key else ''}", None)
        if found is None or (key and not key.isdigit()):
            return problem(404, NOT_FOUND)
        reply: Reply = found(request, int(key)) if key else found(request)
        return reply

    def _get_agents(self, request: Request) -> Reply:
        wanted = request.query.get("unauthorized") != "true"
        rows = [row for row in self.agents.values() if row["authorized"] is wanted and not row["deleted"]]
        return self._page(request, sorted(rows, key=lambda row: str(row["name"])))

    def _get_agents_one(self, request: Request, key: int) -> Reply:
        missing = problem(400, f"Cannot find agent with id {key}")
        return Reply(body=self.agents[key]) if key in self.agents else missing

    def _patch_agents(self, request: Request) -> Reply:
        assert isinstance(request.body, list)
        ids = [change["id"] for change in request.body]
        for agent_id in ids:
            if agent_id not in self.agents:
                return problem(400, f"Cannot find agent {agent_id}")
        if len(set(ids)) < len(ids) or [row["name"] for row in self.groups.values()].count("all") != 1:
            return Reply(500, content_type="text/html; charset=utf-8")
        for change in request.body:
            self.agents[change["id"]]["authorized"] = change["authorized"]
        return Reply()

    def _put_agents_one(self, request: Request, key: int) -> Reply:
        assert isinstance(request.body, dict)
        if key not in self.agents:
            return problem(404, "Agent not found")
        if "groups" in request.body:
            names = {group_id: row["name"] for group_id, row in self.groups.items()}
            wanted = [{"id": ref["id"], "name": names[ref["id"]]} for ref in request.body["groups"]]
            self.agents[key]["groups"] = wanted
        self.agents[key]["disabled"] = request.body.get("disabled", self.agents[key]["disabled"])
        return Reply(body=self.agents[key])

    def _delete_agents_one(self, request: Request, key: int) -> Reply:
        if key not in self.agents:
            return problem(404, "Agent not found")
        self.agents[key] |= {"deleted": "2026-11-23T16:29:59Z", "authorized": False, "disabled": True}
        return Reply()

    def _get_groups(self, request: Request) -> Reply:
        rows = [row for row in self.groups.values() if not row["deleted"]]
        return self._page(request, sorted(rows, key=lambda row: str(row["name"])))

    def _post_groups(self, request: Request) -> Reply:
        assert isinstance(request.body, dict)
        name = request.body["name"]
        alive = [row for row in self.groups.values() if row["name"] == name and not row["deleted"]]
        if len(alive) > 1:
            return Reply(500, content_type="text/html; charset=utf-8")
        if alive:
            return problem(400, f"Group with name {name} already exists")
        new_id = max(self.groups) + 1
        self.groups[new_id] = group_json(new_id, name, project_id=request.body.get("project_id"))
        return Reply(201, self.groups[new_id])

    def _get_groups_one(self, request: Request, key: int) -> Reply:
        missing = problem(400, f"Cannot find agent group with id {key}")
        return Reply(body=self.groups[key]) if key in self.groups else missing

    def _put_groups_one(self, request: Request, key: int) -> Reply:
        assert isinstance(request.body, dict)
        if key not in self.groups:
            return Reply(500, content_type="text/html; charset=utf-8")
        self.groups[key]["name"] = request.body["name"]
        return Reply(body=self.groups[key])

    def _delete_groups_one(self, request: Request, key: int) -> Reply:
        if key not in self.groups:
            return problem(404, f"Agents group with id {key} not found")
        self.groups[key]["deleted"] = "2026-11-23T16:29:57Z"
        return Reply()

    def _page(self, request: Request, rows: list[dict[str, object]]) -> Reply:
        start = int(request.query.get("start", 0))
        limit = min(int(request.query.get("limit", 10)), self.page_maximum)
        return Reply(body={"items": rows[start : start + limit], "total": len(rows)})

    def _handler_class(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class _Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                text = self.rfile.read(length)
                parts = urlsplit(self.path)
                path = next(
                    (parts.path.removeprefix(one) for one in fake.prefixes if parts.path.startswith(one)), parts.path
                )
                bearer = re.fullmatch(r"Bearer (\S+)", self.headers.get("Authorization") or "")
                request = Request(
                    self.command,
                    path,
                    dict(parse_qsl(parts.query)),
                    json.loads(text) if text else None,
                    bearer[1] if bearer else None,
                    dict(self.headers),
                )
                self._write(fake.reply_to(request))

            def _write(self, reply: Reply) -> None:
                if reply.drop:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                content = json.dumps(reply.body).encode() if reply.raw is None else reply.raw
                self.send_response_only(reply.status)
                dated = {"Date": self.date_time_string()} if fake.dated else {}
                for name, value in {**dated, "Content-Type": reply.content_type, **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's own names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
                pass

        return _Handler
