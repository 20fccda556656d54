"""A web hook and a mail server on loopback that keep what they get, as `kraken-fleet watch` meets them."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class WebHook:
    """What a web hook has got.

    Args:
        status: the HTTP status that it answers with.
    """

    port: int = 0
    status: int = 200
    messages: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    def url(self, account: str = "", path: str = "hook") -> str:
        return f"json://{account}127.0.0.1:{self.port}/{path}"


@contextmanager
def web_hook() -> Iterator[WebHook]:
    """A web hook on a free port."""
    got = WebHook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if got.status < 300:
                got.messages.append(json.loads(body))
            got.authorizations.append(self.headers.get("Authorization"))
            self.send_response(got.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        got.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield got
        finally:
            server.shutdown()
            thread.join()


class _Mailbox:
    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        return "250 OK"


@contextmanager
def mail_server(user: str, password: str) -> Iterator[tuple[int, list[EmailMessage]]]:
    """A mail server that takes mail of this account; its port, and the mails that it has got."""

    def check(*given: Any) -> AuthResult:
        account = given[-1]
        assert isinstance(account, LoginPassword)
        right = (account.login, account.password) == (user.encode(), password.encode())
        return AuthResult(success=right, handled=right)

    box = _Mailbox()
    # With port 0 the controller would look for itself there.
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, "127.0.0.1", port, authenticator=check, auth_required=True, auth_require_tls=False)
    controller.start()
    try:
        yield port, box.mails
    finally:
        controller.stop()
