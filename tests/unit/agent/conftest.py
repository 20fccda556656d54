"""A server and real agent processes for the tests of the agent."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.agent.fake_server import FakeJob, FakeServer, fake_server, serving
from tests.waiting import PATIENCE_SECONDS, until

# The agents' interpreter: they run with older ones than the tests.
PYTHON = os.environ.get("KRAKEN_TEST_AGENT_PYTHON", sys.executable)
AGENT_SOURCE = Path(__file__).resolve().parents[3] / "agent"
# A step that goes on until `end_step`: a test does something meanwhile, however long that takes.
BEGUN = "echo begun; until [ -e ../../go ]; do sleep 0.1; done"


class RunningAgent:
    """A real agent process."""

    def __init__(self, server: str, data_dir: Path, *options: str, argv: list[str] | None = None, **env: str) -> None:
        self.data_dir = data_dir
        data_dir.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KRAKEN_")}
        environment.update(PYTHONPATH=str(AGENT_SOURCE), KRAKEN_SERVER_ADDR=server, KRAKEN_DATA_DIR=str(data_dir))
        environment.update(env)
        self.console = data_dir.parent / f"{data_dir.name}.console"
        with self.console.open("ab") as console:
            self.process = subprocess.Popen(
                [*(argv or [PYTHON, "-m", "kraken_agent"]), "run", *options],
                env=environment,
                cwd=data_dir,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        self.pid = self.process.pid

    def said(self) -> str:
        """What the agent wrote to its console."""
        return self.console.read_text()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """The exit code."""
        return self.process.wait(seconds)

    def stop(self) -> None:
        """End it, and what it left, by whatever it takes."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(8)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


# Options of the agent, its server and the name of its data directory; other keywords are variables.
StartAgent = Callable[..., RunningAgent]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as running:
        yield running


@pytest.fixture
def start_agent(server: FakeServer, tmp_path: Path) -> Iterator[StartAgent]:
    """Starts agents of the server; ends them after the test."""
    with contextlib.ExitStack() as stack:

        def start(*options: str, url: str = "", data: str = "data", **kwargs: Any) -> RunningAgent:
            agent = RunningAgent(url or server.url, tmp_path / data, *options, **kwargs)
            stack.callback(agent.stop)
            return agent

        yield start


@pytest.fixture
def run_job(server: FakeServer, start_agent: StartAgent) -> Callable[..., FakeJob]:
    """Runs one job to its end with a fresh agent; `agent` keywords go to the agent, others into the job."""

    def run(
        *steps: dict[str, object],
        seconds: float = PATIENCE_SECONDS,
        agent: dict[str, Any] | None = None,
        **fields: object,
    ) -> FakeJob:
        job = server.add_job(*steps, **fields)
        start_agent("--one-job", **(agent or {}))
        until(lambda: job.finished, seconds)
        server.sink.settle()
        return job

    return run


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., None]:
    return until


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(name="is_alive")
def is_alive_fixture() -> Callable[[int], bool]:
    return is_alive


@pytest.fixture
def tls_server(server: FakeServer, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The server behind TLS, with a certificate for localhost that nobody but its own file vouches for."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    http = serving(server, ("127.0.0.1", 0), context)
    yield f"https://localhost:{http.server_port}", certificate
    http.shutdown()
    http.server_close()


def end_step(agent: RunningAgent) -> None:
    """End a step that began with BEGUN."""
    (agent.data_dir / "go").touch()
