"""What an agent costs: idle memory and CPU, time to its first message, wall time and CPU of jobs with 1 and 10 steps.

    bench/agent.py --agent kkagent                       against an embedded server that is started for it
    bench/agent.py --agent kkagent --against upstream    both, and the ratio
    bench/agent.py --agent kkagent --image debian:12         also a job of one step in a Docker container of that image
    bench/agent.py --agent kkagent --server http://h:6363    against any server; an administrator from KRAKEN_FLEET_USER
                                                         and KRAKEN_FLEET_PASSWORD

The agent talks to the server through a proxy of this program, which takes the times: from the answer that brings the
job to the one that ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from kraken_fleet.api import KrakenClient, PasswordCredentials

_TICK = os.sysconf("SC_CLK_TCK")
_JOB_SECONDS = 120.0
_STARTS = 5
# The interpreter for agents; a host's own one shares less of its memory with other programs than a test environment's.
PYTHON = os.environ.get("BENCH_PYTHON", sys.executable)


@dataclass(frozen=True)
class Figures:
    """One agent's figures; memory in MB (10^6 bytes), times in seconds."""

    idle_rss_mb: float
    idle_pss_mb: float
    idle_private_mb: float
    idle_cpu_s_per_min: float
    first_message_s: float
    job_1_step_s: float
    job_10_steps_s: float
    job_1_step_cpu_s: float
    job_10_steps_cpu_s: float
    job_container_s: float


class Proxy(ThreadingHTTPServer):
    """Passes on what agent and server say, and remembers when."""

    daemon_threads = True

    def __init__(self, server: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(server)
        self.began: float | None = None
        self.finished: list[float] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def note(self, request: dict[str, object], answer: dict[str, object]) -> None:
        now = time.perf_counter()
        if request.get("msg") == "get-job" and answer.get("job") and self.began is None:
            self.began = now
        step = answer.get("job_step")
        if request.get("msg") == "get-job-step" and isinstance(step, dict) and step.get("finish") and self.began:
            self.finished.append(now - self.began)
            self.began = None


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        target = self.server.target
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
        try:
            connection.request("POST", "/backend", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        with contextlib.suppress(ValueError):
            self.server.note(json.loads(body), json.loads(content))
        self.send_response(response.status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """The agent's messages are not for the screen."""


class Agent:
    """A running agent, for as long as the `with` block lasts."""

    def __init__(self, path: Path, server: str, directory: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KRAKEN_")}
        environment.update(KRAKEN_SERVER_ADDR=server, KRAKEN_DATA_DIR=str(directory), PYTHONDONTWRITEBYTECODE="1")
        environment.setdefault("KRAKEN_CLICKHOUSE_ADDR", "127.0.0.1:9")
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [PYTHON, str(path), "run", "--no-update"],
            env=environment,
            cwd=directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self._process.pid

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def memory(self) -> dict[str, float]:
        """Resident, proportional and private memory of the agent in MB."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        kib = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines() if line.endswith("kB")}
        private = kib["Private_Clean"] + kib["Private_Dirty"]
        return {"rss": kib["Rss"] * 1.024e-3, "pss": kib["Pss"] * 1.024e-3, "private": private * 1.024e-3}

    def cpu(self) -> float:
        """CPU seconds of the agent and of its children that have ended."""
        words = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(word) for word in words[11:15]) / _TICK


def first_message(path: Path) -> float:
    """From exec to the first message, the median of a few starts."""
    times = []
    for _ in range(_STARTS):
        with socket.socket() as listener, tempfile.TemporaryDirectory() as directory:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            listener.settimeout(30)
            with Agent(path, f"http://127.0.0.1:{listener.getsockname()[1]}", Path(directory)) as agent:
                connection, _ = listener.accept()
                connection.recv(1)
                times.append(time.perf_counter() - agent.started)
                connection.close()
    return statistics.median(times)


def measure(path: Path, client: KrakenClient, server: str, idle_seconds: float, jobs: int, image: str) -> Figures:
    """All figures of one agent; the one of a job in a container is 0 without an image."""
    first = first_message(path)
    proxy = Proxy(server)
    with tempfile.TemporaryDirectory() as directory, Agent(path, proxy.url, Path(directory)) as agent:
        group = _let_in(client)
        branches = {count: _branch(client, group, count) for count in (1, 10)}
        walls: dict[int, list[float]] = {1: [], 10: []}
        cpus: dict[int, list[float]] = {1: [], 10: []}
        for count in (1, 10):
            for _ in range(jobs):
                before = agent.cpu()
                walls[count].append(_run(client, proxy, branches[count]))
                time.sleep(0.3)
                cpus[count].append(agent.cpu() - before)
        contained = [0.0]
        if image:
            branch = _branch(client, group, 1, image=image)
            contained = [_run(client, proxy, branch) for _ in range(jobs)]
        before = agent.cpu()
        time.sleep(idle_seconds)
        idle = (agent.cpu() - before) * 60 / idle_seconds
        memory = agent.memory()
    proxy.shutdown()
    return Figures(
        round(memory["rss"], 2),
        round(memory["pss"], 2),
        round(memory["private"], 2),
        round(idle, 4),
        round(first, 4),
        round(statistics.median(walls[1]), 3),
        round(statistics.median(walls[10]), 3),
        round(statistics.mean(cpus[1]), 4),
        round(statistics.mean(cpus[10]), 4),
        round(statistics.median(contained), 3),
    )


def _let_in(client: KrakenClient) -> str:
    """Authorize the agent that is on this machine's loopback address, alone in a group of its own."""
    name = f"bench-{secrets.token_hex(4)}"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for agent in (*client.agents(unauthorized=True), *client.agents()):
            if agent.address == "127.0.0.1":
                client.set_authorized([agent.id])
                group = client.create_group(name)
                client.set_agent_groups(agent.id, [group.id])
                return name
        time.sleep(0.1)
    raise SystemExit("the agent did not show up at the server within 30 seconds")


def _branch(client: KrakenClient, group: str, steps: int, *, image: str = "") -> int:
    project = client.create_project(f"bench-{secrets.token_hex(4)}")
    branch = client.create_branch(project.id, "main")
    executor = "docker" if image else "local"
    job = {
        "name": "echo",
        "steps": [{"tool": "shell", "cmd": f"echo {number}"} for number in range(steps)],
        "environments": [{"system": image or "any", "agents_group": group, "config": "c", "executor": executor}],
    }
    stage = {"parent": "root", "triggers": {"parent": True}, "jobs": [job]}
    client.create_stage(branch.id, "bench", f"def stage(ctx):\n    return {stage!r}")
    return branch.id


def _run(client: KrakenClient, proxy: Proxy, branch: int) -> float:
    before = len(proxy.finished)
    client.start_flow(branch)
    deadline = time.monotonic() + _JOB_SECONDS
    while len(proxy.finished) == before:
        if time.monotonic() > deadline:
            raise SystemExit(f"the job did not end within {_JOB_SECONDS:g} seconds")
        time.sleep(0.05)
    return proxy.finished[-1]


@contextlib.contextmanager
def _server(url: str | None) -> Iterator[tuple[str, KrakenClient]]:
    if url:
        user, password = os.environ.get("KRAKEN_FLEET_USER", "admin"), os.environ.get("KRAKEN_FLEET_PASSWORD", "")
        with KrakenClient(url, PasswordCredentials(user, password)) as client:
            yield url, client
        return
    from kraken_fleet.server.testing import running

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        credentials = PasswordCredentials(server.user, server.password)
        yield server.url, stack.enter_context(KrakenClient(server.url, credentials))


def _show(figures: Figures, other: Figures | None) -> None:
    for field in fields(Figures):
        value = getattr(figures, field.name)
        line = f"{field.name:22} {value:10.4g}"
        if other is not None:
            base = getattr(other, field.name)
            line += f" {base:10.4g}   x {value / base:.3f}" if base else f" {base:10.4g}"
        print(line)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", type=Path, required=True, help="a kkagent file")
    parser.add_argument("--against", type=Path, help="another kkagent file, to compare with")
    parser.add_argument("--server", help="URL of a Kraken server; default: an embedded one")
    parser.add_argument("--idle-seconds", type=float, default=60.0, help="how long idle CPU is measured (default 60)")
    parser.add_argument("--jobs", type=int, default=3, help="how often each job runs (default 3)")
    parser.add_argument("--image", default="", help="of a Docker job, which is measured too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    for path in filter(None, (arguments.agent, arguments.against)):
        if not path.is_file():
            parser.error(f"there is no file {path}; `kraken-fleet bundle build` makes dist/kkagent")
    with _server(arguments.server) as (url, client):
        how = (client, url, arguments.idle_seconds, arguments.jobs, arguments.image)
        figures = measure(arguments.agent.resolve(), *how)
        other = measure(arguments.against.resolve(), *how) if arguments.against else None
    if arguments.json:
        print(json.dumps({"agent": asdict(figures), "against": asdict(other) if other else None}, indent=1))
    else:
        _show(figures, other)
    return 0


if __name__ == "__main__":
    sys.exit(main())
