"""The parts of the real server's script that need no server: addresses, processes, log records."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.real_server import install, plan, processes
from tests.real_server.log_receiver import rows_of
from tests.real_server.plan import Instance, RealServerError, free_offset, load

SCRIPT = Path(__file__).parents[2] / "real_server"
RECORD = {
    "@timestamp": "2026-11-23T16:30:00.000123Z",
    "message": "one",
    "service": "agent",
    "host": "h",
    "path": "/a.py",
    "lineno": 7,
    "level": "INFO",
    "job": 5,
    "step": 0,
    "tool": "shell",
}


def _datagram(**differing: object) -> bytes:
    return json.dumps({**RECORD, **differing}).encode()


def test_instances_differ_in_every_port_and_in_their_private_address(tmp_path: Path) -> None:
    one, two = Instance(tmp_path, offset=0), Instance(tmp_path, offset=3)
    assert not set(one.public_ports()) & set(two.public_ports())
    assert (one.private, two.private) == ("127.77.0.1", "127.77.0.4")
    assert (one.url, two.url) == ("http://127.0.0.1:6363", "http://127.0.0.1:6366")


def test_an_instance_is_remembered_with_its_secrets_for_the_owner_only(tmp_path: Path) -> None:
    made = Instance(tmp_path / "server", bind="172.17.0.1", advertise="172.17.0.1", offset=2)
    made.save()
    assert load(tmp_path / "server") == made
    assert stat.S_IMODE((tmp_path / "server" / "instance.json").stat().st_mode) == 0o600
    assert load(tmp_path / "elsewhere") is None


def test_secrets_are_neither_shown_nor_the_same_twice(tmp_path: Path) -> None:
    one, two = Instance(tmp_path), Instance(tmp_path)
    assert one.database_password != two.database_password
    for secret in (one.database_password, one.s3_secret_key, one.s3_access_key):
        assert secret not in repr(one)
        assert secret not in json.dumps(one.public())


def test_a_taken_port_moves_the_next_instance_on() -> None:
    first = free_offset("127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 6363 + first))
        taken.listen()
        assert free_offset("127.0.0.1") != first


def test_instances_that_come_up_together_install_the_shared_environment_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str | Path]] = []

    def run(command: list[str | Path]) -> None:
        commands.append(command)
        time.sleep(0.05)  # the others come in meanwhile, if anything lets them
        (tmp_path / Instance(tmp_path).venv.name).mkdir(exist_ok=True)

    monkeypatch.setattr(plan, "cache_directory", lambda: tmp_path)
    monkeypatch.setattr(install, "install_packages", lambda _: None)
    monkeypatch.setattr(install, "_run", run)
    instances = [Instance(tmp_path / str(number), offset=number) for number in range(4)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda instance: install.install(instance, lambda _: None), instances))
    assert [command[2] for command in commands if "venv" in command] == ["venv"]
    assert len(commands) == 2


def test_a_process_is_started_once_and_stopped_with_its_children(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "sleep 600 & sleep 600"]
    assert processes.start(tmp_path, "sleeper", command)
    pid = processes.running(tmp_path, "sleeper")
    assert not processes.start(tmp_path, "sleeper", command)
    assert processes.running(tmp_path, "sleeper") == pid
    assert processes.stop(tmp_path, "sleeper")
    assert processes.running(tmp_path, "sleeper") is None
    listed = subprocess.run(["ps", "-o", "pid=,stat=", "--sid", str(pid)], capture_output=True, text=True, check=False)
    assert [line for line in listed.stdout.splitlines() if "Z" not in line] == []
    assert not processes.stop(tmp_path, "sleeper")


def test_a_pid_that_belongs_to_another_program_now_is_not_ours(tmp_path: Path) -> None:
    processes.start(tmp_path, "sleeper", ["/bin/sleep", "600"])
    pid_file = tmp_path / "run" / "sleeper.pid"
    mine = pid_file.read_text()
    pid_file.write_text(f"{mine.split()[0]} 1\n")
    assert processes.running(tmp_path, "sleeper") is None
    pid_file.write_text(mine)
    processes.stop(tmp_path, "sleeper")


def test_what_ends_while_starting_is_told_with_its_last_words(tmp_path: Path) -> None:
    processes.start(tmp_path, "broken", ["/bin/sh", "-c", "echo no such disk; exit 3"])
    with pytest.raises(RealServerError, match="no such disk"):
        processes.wait_ready(tmp_path, "broken", lambda: False, seconds=10)


def test_a_record_becomes_a_row_with_defaults_for_what_it_lacks() -> None:
    (row,) = rows_of(_datagram())
    assert (row["message"], row["job"], row["step"], row["lineno"]) == ("one", 5, 0, 7)
    assert (row["branch"], row["agent"]) == (0, 0)
    (bare,) = rows_of(json.dumps({"@timestamp": RECORD["@timestamp"], "message": "x"}).encode())
    assert (bare["step"], bare["service"]) == (-1, "")


def test_lines_of_one_second_keep_their_order() -> None:
    first, second = rows_of(_datagram(message="one\ntwo"))
    (later,) = rows_of(_datagram(**{"@timestamp": "2026-11-23T16:30:00.000124Z"}))
    assert (first["message"], second["message"]) == ("one", "two")
    assert first["time"] == later["time"]
    assert first["seq"] < second["seq"] < later["seq"] < 2**64


@pytest.mark.parametrize("datagram", [b"no json", b"[1]", b'{"message": "x"}', b'{"@timestamp": "x", "message": "y"}'])
def test_what_is_no_record_is_refused(datagram: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        rows_of(datagram)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "--bind", "0.0.0.0"], "--advertise"),
        (["up", "--offset", "1000"], "--offset"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_installed(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    command = [sys.executable, str(SCRIPT), "--dir", str(tmp_path / "server"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert not (tmp_path / "server").exists()


def test_another_address_for_an_existing_server_is_refused(tmp_path: Path) -> None:
    Instance(tmp_path, bind="127.0.0.1").save()
    command = [sys.executable, str(SCRIPT), "--dir", str(tmp_path), "up", "--bind", "172.17.0.1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "holds a server with --bind 127.0.0.1" in done.stderr


def test_status_and_down_without_a_server(tmp_path: Path) -> None:
    for command, code in (("status", 3), ("down", 0)):
        asked = [sys.executable, str(SCRIPT), "--dir", str(tmp_path), command]
        assert subprocess.run(asked, capture_output=True, check=False).returncode == code
