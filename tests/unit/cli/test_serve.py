"""`kraken-fleet serve` as a process: first password, addresses, a port in use, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from kraken_fleet.address import ServerAddress
from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.api.session import Session
from kraken_fleet.cli.main import main
from kraken_fleet.errors import UsageError
from tests.source_address import From

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server on a free port; what it says can be read from its output."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "kraken_fleet.cli.main", "serve", "--port", "0"]
        command += ["--data-dir", str(tmp_path / "server"), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def _next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


def test_the_first_start_shows_a_password_that_works_and_the_second_shows_none(start: Start) -> None:
    first = start()
    url = _next_line(first).split()[3].rstrip(",")
    password = _next_line(first).split()[-1]
    with KrakenClient(url, PasswordCredentials("admin", password)) as client:
        assert client.version()
    assert "Sign in" in requests.get(f"{url}/", timeout=100).text, "the console is there as well"
    first.send_signal(signal.SIGINT)
    rest, errors = first.communicate(timeout=100)
    assert (first.returncode, errors) == (0, "")
    assert password not in rest
    second = start()
    url = _next_line(second).split()[3].rstrip(",")
    with KrakenClient(url, PasswordCredentials("admin", password)) as client:
        assert client.version()
    second.send_signal(signal.SIGINT)
    assert "password" not in second.communicate(timeout=100)[0]


def test_a_password_from_a_file_is_used_and_not_shown_and_metrics_tell_of_the_server(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("from-a-file-4711\n")
    (tmp_path / "password").chmod(0o600)
    ready = tmp_path / "ready.json"
    process = start("--admin-password-file", str(tmp_path / "password"), "--ready-file", str(ready))
    said = _next_line(process)
    addresses = json.loads(ready.read_text())
    assert addresses["url"] in said
    with KrakenClient(addresses["url"], PasswordCredentials("admin", "from-a-file-4711")) as client:
        assert client.version()
    too_long = requests.get(f"{addresses['url']}/api/{'x' * 100_000}", timeout=100)
    assert too_long.status_code >= 400
    scraped = requests.get(f"{addresses['url']}/metrics", auth=("admin", "from-a-file-4711"), timeout=60).text
    numbers = dict(line.rsplit(" ", 1) for line in scraped.splitlines() if line.startswith("kraken_fleet_embedded_"))
    assert float(numbers["kraken_fleet_embedded_requests_total"]) >= 3
    assert float(numbers["kraken_fleet_embedded_connections"]) >= 1
    assert float(numbers["kraken_fleet_embedded_connections_limit"]) > 100
    assert float(numbers["kraken_fleet_embedded_database_bytes"]) > 10_000
    assert float(numbers["kraken_fleet_embedded_uptime_seconds"]) > 0
    assert [name for name in numbers if name.startswith("kraken_fleet_embedded_refused_total")], scraped
    process.send_signal(signal.SIGINT)
    assert "4711" not in "".join(process.communicate(timeout=100))


def test_viewers_and_a_proxy_sign_on_to_the_console_of_the_server(start: Start, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from-a-file-4711\n")
    (tmp_path / "password").chmod(0o600)
    account = ["--user", "admin", "--password-file", str(tmp_path / "password")]
    access = ["--viewers", "--proxy", "127.0.0.2", "--proxy-user-header", "X-Remote-User", *account]
    process = start("--admin-password-file", str(tmp_path / "password"), *access)
    url = _next_line(process).split()[3].rstrip(",")
    session = Session(ServerAddress.parse(url), PasswordCredentials("admin", "from-a-file-4711"))
    session.request("POST", "/users", body={"name": "vera", "password": "veras own"})
    session.close()
    with requests.Session() as browser:
        page = browser.post(f"{url}/sign-in", data={"user": "vera", "password": "veras own"}, timeout=60)
        assert (page.status_code, "read-only" in page.text, page.url) == (200, True, f"{url}/agents")
    for source, status in (("127.0.0.2", 200), ("127.0.0.3", 303)):
        with requests.Session() as browser:
            browser.mount("http://", From(source))
            who = {"X-Remote-User": "admin"}
            answer = browser.get(f"{url}/agents", headers=who, timeout=60, allow_redirects=False)
            assert answer.status_code == status, source
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=100)[1] == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--viewers"], "no account"),
        (["--proxy-user-header", "X-Remote-User", "--token-file", "FILE"], "No proxy is named"),
        (["--user", "admin", "--password-file", "FILE"], "need --viewers or --proxy-user-header"),
    ],
)
def test_access_to_the_console_that_cannot_work_is_refused_before_anything_is_made(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text("secret\n")
    given = [str(tmp_path / "secret") if option == "FILE" else option for option in options]
    assert main(["serve", "--port", "0", "--data-dir", str(tmp_path / "server"), *given]) == UsageError.exit_code
    assert says in capsys.readouterr().err
    assert not (tmp_path / "server").exists()


@pytest.mark.parametrize(("option", "kind"), [("--port", socket.SOCK_STREAM), ("--log-port", socket.SOCK_DGRAM)])
def test_a_port_in_use_is_one_clear_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, kind: socket.SocketKind
) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        other = ["--port", "0"] if option == "--log-port" else []
        assert main(["serve", *other, option, str(port), "--data-dir", str(tmp_path / "server")]) == 1
    assert f"Port {port} is in use" in capsys.readouterr().err
