"""Git servers for tests: over http with a password, and over ssh with a key."""

from __future__ import annotations

import base64
import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.background import serving


class HttpGit(NamedTuple):
    """A running server: where it is, and every (user, password) that it was given."""

    url: str
    logins: list[tuple[str, str]]


class _GitHandler(BaseHTTPRequestHandler):
    """git's own CGI program, for any user and one password; notes who has signed in how."""

    def __init__(self, root: Path, password: str, logins: list[tuple[str, str]], *connection: Any) -> None:
        self._root, self._password, self._logins = root, password, logins
        super().__init__(*connection)

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        user, _, given = base64.b64decode(value).decode().partition(":") if scheme == "Basic" else ("", "", "")
        if scheme:
            self._logins.append((user, given))
        if given != self._password:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._answer(user)

    def _answer(self, user: str) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_USER": user,
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=True
        ).stdout
        head, _, content = done.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = next((value for name, value in headers if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@contextlib.contextmanager
def http_git(root: Path, password: str) -> Iterator[HttpGit]:
    """Serve the repositories in a directory with git's own CGI program; any user, one password."""
    logins: list[tuple[str, str]] = []
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), partial(_GitHandler, root, password, logins))) as server:
        yield HttpGit(f"http://127.0.0.1:{server.server_port}", logins)


class SshGit(NamedTuple):
    """A running sshd: its port, and the private key that it lets in."""

    port: int
    user: str
    key: str


@contextlib.contextmanager
def ssh_git(home: Path) -> Iterator[SshGit]:
    """Run an sshd of our own that lets one new key in as the user who runs the tests."""
    sshd = shutil.which("sshd") or "/usr/sbin/sshd"
    if not Path(sshd).exists():
        pytest.skip("this machine has no sshd (Debian: openssh-server)")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = home / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home / 'host'}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {home / 'user.pub'}\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for(port, home / "log")
        yield SshGit(port, getpass.getuser(), (home / "user").read_text())
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, log: Path) -> None:
    deadline = time.monotonic() + 100
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise AssertionError(log.read_text()) from None
            time.sleep(0.05)
        else:
            return
