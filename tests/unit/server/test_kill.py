"""kill -9 at any moment: nothing that was answered is lost, and the next start works."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

PROGRAM = """
import sys
from pathlib import Path
from typing import Any
from kraken_fleet.server import ServerSettings, serve
settings = ServerSettings(Path(sys.argv[1]), port=0, admin_password_file=Path(sys.argv[2]))
serve(settings, on_ready=lambda ready: print(ready.url, flush=True))
"""


@contextmanager
def process(directory: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server in a process of its own; killed at the latest at the end."""
    password = directory / "password"
    password.touch(mode=0o600)
    password.write_text("secret")
    command = [sys.executable, "-c", PROGRAM, str(directory / "data"), str(password)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path()})
    try:
        assert started.stdout is not None
        url = started.stdout.readline().strip()
        assert url, "the server did not start"
        yield url, started
    finally:
        started.kill()
        started.wait()


def path() -> str:
    root = str(Path(__file__).parents[3])
    return os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))


def token_of(url: str) -> dict[str, str]:
    answer = requests.post(f"{url}/api/sessions", json={"user": "admin", "password": "secret"}, timeout=60)
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def write_until_killed(url: str, headers: dict[str, str], number: int, groups: list[str], agents: list[str]) -> None:
    """Creates groups and announces agents, noting each only once it was answered."""
    with contextlib.suppress(requests.RequestException), requests.Session() as http:
        for count in range(100_000):
            name = f"g-{number}-{count}"
            if http.post(f"{url}/api/groups", json={"name": name}, headers=headers, timeout=60).status_code == 201:
                groups.append(name)
            address = f"a-{number}-{count}"
            message = {"address": address, "msg": "get-job"}
            if http.post(f"{url}/backend", json=message, timeout=60).status_code == 200:
                agents.append(address)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_what_was_answered_is_there_after_each_of_many_kills(tmp_path: Path) -> None:
    groups: list[str] = []
    agents: list[str] = []
    # Each round ends in the middle of something: as soon as so many more were answered.
    for round_number, more in enumerate((1, 7, 23, 40)):
        with process(tmp_path) as (url, server):
            headers = token_of(url)
            lanes = [(url, headers, 10 * round_number + lane, groups, agents) for lane in range(3)]
            writers = [threading.Thread(target=write_until_killed, args=lane) for lane in lanes]
            for writer in writers:
                writer.start()
            enough = len(groups) + more
            while len(groups) < enough:
                time.sleep(0.001)
            server.kill()
            for writer in writers:
                writer.join()
    assert len(groups) > 70
    with process(tmp_path) as (url, _):
        headers = token_of(url)
        kept = requests.get(f"{url}/api/groups?limit=100000", headers=headers, timeout=60).json()["items"]
        assert set(groups) <= {group["name"] for group in kept}
        query = "unauthorized=true&limit=100000"
        listed = requests.get(f"{url}/api/agents?{query}", headers=headers, timeout=60).json()["items"]
        assert set(agents) <= {agent["address"] for agent in listed}


def test_a_job_goes_on_where_it_was_when_the_server_is_killed(tmp_path: Path) -> None:
    def say(url: str, msg: str, **more: object) -> Any:
        body = {"address": "127.0.9.1", "msg": msg, **more}
        return requests.post(f"{url}/backend", json=body, timeout=60).json()

    steps = [{"tool": "shell", "cmd": "one"}, {"tool": "shell", "cmd": "two"}]
    job = {"name": "j", "steps": steps, "environments": [{"system": "any", "agents_group": "all"}]}
    with process(tmp_path) as (url, server):
        headers = token_of(url)
        say(url, "get-job")
        requests.patch(f"{url}/api/agents", json=[{"id": 1, "authorized": True}], headers=headers, timeout=60)
        stage = {"name": "s", "schema_code": f"def stage(ctx):\n    return { ({'jobs': [job]})!r}\n"}
        branch = requests.post(
            f"{url}/api/projects/1/branches", json={"name": "b"}, headers=headers, timeout=100
        ).json()
        requests.post(f"{url}/api/branches/{branch['id']}/stages", json=stage, headers=headers, timeout=60)
        requests.post(f"{url}/api/branches/{branch['id']}/flows/ci", json={}, headers=headers, timeout=60)
        assert say(url, "get-job")["job"]["id"] == 1
        say(url, "get-job-step")
        say(url, "step-result2", job_id=1, step_idx=0, result={"status": "done"})
        server.kill()
        server.wait()
    with process(tmp_path) as (url, _):
        assert say(url, "get-job-step")["job_step"]["cmd"] == "two"
        say(url, "step-result2", job_id=1, step_idx=1, result={"status": "done"})
        assert say(url, "get-job-step")["job_step"] == {"finish": True}
        done = requests.get(f"{url}/api/jobs/1", headers=headers, timeout=60).json()
        assert (done["state"], done["completion_status"]) == (5, 0)


def test_a_server_that_is_told_to_stop_stops(tmp_path: Path) -> None:
    with process(tmp_path) as (url, server), requests.Session() as http:
        assert http.get(f"{url}/api/version", timeout=60).status_code == 401
        server.terminate()
        server.wait(100)
    assert not (tmp_path / "data" / "server.sqlite-wal").exists()
