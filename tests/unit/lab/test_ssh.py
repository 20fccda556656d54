"""Reaching lab hosts: what is written must mean to ssh what it should."""

from __future__ import annotations

import shlex
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from kraken_fleet.errors import LabError
from kraken_fleet.lab import ssh


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    key = ssh.own_key(tmp_path / "ssh")
    content = key.read_text()
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.with_suffix(".pub").read_text().startswith("ssh-ed25519 ")
    assert ssh.own_key(tmp_path / "ssh").read_text() == content


def test_ssh_finds_the_written_key_of_a_host(tmp_path: Path) -> None:
    public = ssh.own_key(tmp_path).with_suffix(".pub").read_text()
    file = tmp_path / "known_hosts"
    ssh.write_known_hosts(file, [("192.0.2.1", public), ("192.0.2.2", public)])
    found = subprocess.run(
        ["ssh-keygen", "-F", "192.0.2.2", "-f", str(file)], capture_output=True, text=True, check=True
    )
    assert public.split()[1] in found.stdout


@pytest.mark.parametrize("folder", ["plain", "it's here"])
def test_host_keys_are_checked_against_the_labs_file_wherever_it_lies(tmp_path: Path, folder: str) -> None:
    known_hosts = tmp_path / folder / "known_hosts"
    variables = ssh.variables("192.0.2.1", tmp_path / "key", known_hosts)
    arguments = shlex.split(str(variables["ansible_ssh_common_args"]))
    shown = subprocess.run(["ssh", "-G", *arguments, "192.0.2.1"], capture_output=True, text=True, check=True).stdout
    settings = dict(line.split(" ", 1) for line in shown.splitlines() if " " in line)
    assert settings["userknownhostsfile"] == str(known_hosts)
    assert settings["stricthostkeychecking"] in ("true", "yes")


def test_waiting_for_sshd_ends_with_its_greeting_or_says_which_host_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(ssh, "PORT", server.getsockname()[1])
        with pytest.raises(LabError, match=r"127\.0\.0\.1: sshd did not come up"):
            ssh.wait_for_banner("127.0.0.1", seconds=0.2)
        threading.Thread(target=_greet, args=(server,), daemon=True).start()
        began = time.monotonic()
        ssh.wait_for_banner("127.0.0.1", seconds=60)
        assert time.monotonic() - began < 50


def _greet(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        except OSError:  # closed, or the client did not wait
            return
