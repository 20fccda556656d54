"""`kraken-fleet console` as a process: it serves its pages until it is interrupted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from kraken_fleet.cli.console import _named
from kraken_fleet.errors import UsageError
from tests.waiting import eventually


def test_the_console_serves_its_pages_until_it_is_interrupted(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    command = [
        sys.executable,
        "-m",
        "kraken_fleet.cli.main",
        "console",
        "--server",
        "http://127.0.0.1:9",
        "--port",
        port,
    ]
    command += ["--read-only", "--limit-body-bytes", "4096", "--state-dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)

    def page() -> str:
        assert process.poll() is None, process.communicate()
        try:
            return requests.get(f"http://127.0.0.1:{port}/sign-in", timeout=20).text
        except requests.ConnectionError:
            return ""

    try:
        assert "Sign in" in eventually(page)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
        assert f"Console for http://127.0.0.1:9: http://127.0.0.1:{port}/" in said
    finally:
        process.kill()
        process.communicate()


def test_servers_are_given_with_their_names_and_one_without_a_name() -> None:
    assert _named([]) == {}
    assert _named(["http://kraken.example:6363/?a=b"]) == {}
    servers = ["berlin=http://kraken.example:6363", "oslo=other.example:6363"]
    assert _named(servers) == {"berlin": "http://kraken.example:6363", "oslo": "other.example:6363"}


@pytest.mark.parametrize(
    "servers",
    [
        ["http://one.example", "http://two.example"],
        ["a=http://one.example", "a=http://two.example"],
        ["a=http://one.example", "http://two.example"],
        ["static=http://one.example", "b=http://two.example"],
        ["a=ftp://one.example", "b=http://two.example"],
    ],
)
def test_servers_that_cannot_be_told_apart_or_reached_are_refused(servers: list[str]) -> None:
    with pytest.raises(UsageError):
        _named(servers)
