"""A Kraken server as far as one agent can tell: the agents' endpoint, their files, and the log sink.

It answers as krakenci-server 1.7.36 does, and can be told to be slow, broken or gone.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Message = dict[str, Any]
FINAL = ("done", "error")
# A record of ours, which says that all before it have come.
_MARK = b"mark"
STATUSES = {"in-progress": 1, "done": 2, "error": 3}


@dataclass
class FakeJob:
    """A job, and what became of its steps."""

    id: int
    steps: list[Message]
    fields: Message = field(default_factory=dict)
    statuses: dict[int, str] = field(default_factory=dict)
    kept: dict[int, Message] = field(default_factory=dict)
    tests: list[str] = field(default_factory=list)
    finished: bool = False
    cancelled: bool = False

    def next_step(self) -> Message | None:
        """As the server does: after an error only steps with `when: always` are left."""
        failed = "error" in self.statuses.values()
        for index, step in enumerate(self.steps):
            if self.statuses.get(index) not in FINAL and not (failed and step.get("when") != "always"):
                extra = {"index": index, "finish": False, "job_id": self.id, "secrets": self.fields.get("secrets", [])}
                return {"id": 100 + index, "tool": "shell", "tool_location": "", "branch_env": {}, **step, **extra}
        return None

    def shown_steps(self) -> list[Message]:
        """As get-job has them."""
        shown = []
        for index, step in enumerate(self.steps):
            status = STATUSES.get(self.statuses.get(index, ""))
            kept = self.kept.get(index)
            result = kept and {**kept, "duration": f"{kept.get('duration', 0)}s"}
            shown.append({"index": index, **step, "status": status, "result": result})
        if self.tests:
            shown[-1]["tests"] = self.tests
        return shown


_SO_RCVBUFFORCE = 33  # of Linux; Python has no name for it
_ROOM = 512 * 1024 * 1024


class LogSink:
    """Takes log records over UDP."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # Room for what comes while this thread gets no time; only root may have more than the system's limit.
        option = _SO_RCVBUFFORCE if os.geteuid() == 0 else socket.SO_RCVBUF
        self._socket.setsockopt(socket.SOL_SOCKET, option, _ROOM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.raw: list[bytes] = []
        self.keep = True
        self.bytes = 0
        self.sources: set[str] = set()
        self._settled = threading.Event()
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        while True:
            try:
                data, source = self._socket.recvfrom(70000)
            except OSError:
                return
            if data == _MARK:
                self._settled.set()
                continue
            self.bytes += len(data)
            if self.keep:
                self.raw.append(data)
            self.sources.add(source[0])

    def settle(self) -> None:
        """Wait until what was sent has been taken: the job may be over, and its last lines still with the kernel."""
        self._settled.clear()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(_MARK, self._socket.getsockname())
            # It may be lost when the kernel's buffer is full.
            while not self._settled.wait(1):
                own.sendto(_MARK, self._socket.getsockname())

    def all(self) -> list[Message]:
        """Every record so far."""
        return [json.loads(data) for data in list(self.raw)]

    def output(self, job: int | None = None) -> list[str]:
        """The lines of a job's log as a user would see them."""
        return [
            record["message"] for record in self.all() if record.get("tool") and (job is None or record["job"] == job)
        ]

    def dropped(self) -> int:
        """How many datagrams came and found no room, by the kernel's own count."""
        port = f":{self._socket.getsockname()[1]:04X}"
        sockets = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        return next(int(words[-1]) for words in sockets if words[1].endswith(port))

    def close(self) -> None:
        self._socket.close()


class FakeServer:
    """The server.

    Attributes:
        messages: what agents said, oldest first; `at` is when.
        authorized: whether agents are let in.
        trouble: called with each message; may return (status, body, seconds of delay) instead of an answer.
        loses: whether the answer to a message, which the server has taken, gets lost on its way.
        files: what `/install/NAME` serves.
        clock_behind: how many seconds its clock is behind that of this machine.
    """

    def __init__(self) -> None:
        self.sink = LogSink()
        self.messages: list[Message] = []
        self.jobs: list[FakeJob] = []
        self.authorized = True
        self.version = "1.7.36"
        self.files: dict[str, bytes] = {}
        self.clock_behind = 0
        self.paths: list[str] = []
        self.clients: set[str] = set()
        self.trouble: Callable[[Message], tuple[int, bytes, float] | None] = lambda message: None
        self.loses: Callable[[Message], bool] = lambda message: False
        self._lock = threading.Lock()
        # Bound, but nobody listens there: the port stays this server's while it is gone.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("0.0.0.0", 0))
        self._port = self._place.getsockname()[1]
        self._http: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Be there, on the same port as before."""
        self._http = serving(self, ("0.0.0.0", self._port))

    def stop(self) -> None:
        """Be gone: connections are refused."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    def close(self) -> None:
        """Be gone for good."""
        self.stop()
        self._place.close()
        self.sink.close()

    def add_job(self, *steps: Message, **fields: Any) -> FakeJob:
        """A job for the next agent that asks."""
        job = FakeJob(len(self.jobs) + 1, list(steps), fields)
        self.jobs.append(job)
        return job

    def said(self, msg: str) -> list[Message]:
        """All messages of a kind."""
        return [message for message in list(self.messages) if message.get("msg") == msg]

    def results(self, job: FakeJob, *, final: bool = True) -> list[Message]:
        """Step results that arrived for a job, in order."""
        arrived = (message for message in self.said("step-result2") if "refused" not in message)
        found = [message for message in arrived if message["job_id"] == job.id]
        return [
            {"step": message["step_idx"], **message["result"]}
            for message in found
            if not final or message["result"]["status"] in FINAL
        ]

    def answer(self, message: Message) -> Message:
        """What the real server would say."""
        with self._lock:
            self.messages.append({**message, "at": time.monotonic()})
            if not self.authorized:
                self.messages[-1]["refused"] = True
                return {"unauthorized": True}
            common = {"cfg": {"clickhouse_addr": self.sink.address}, "version": self.version}
            job = next((job for job in self.jobs if not job.finished), None)
            handler = getattr(self, "_on_" + message["msg"].replace("-", "_"), None)
            return {} if handler is None else handler(message, job, common)

    def _on_host_info(self, message: Message, job: FakeJob | None, common: Message) -> Message:
        return {"agent_id": 7, **common}

    def _on_get_job(self, message: Message, job: FakeJob | None, common: Message) -> Message:
        if job is None:
            return {"job": {}, **common}
        fields = {"timeout": 539, "executor": "local", "system": "any", "run_id": 2, "flow_id": 3, "branch_id": 4}
        about = {"id": job.id, "flow_kind": 0, "secrets": [], "steps": job.shown_steps()}
        return {"job": {**about, **fields, **job.fields}, **common}

    def _on_get_job_step(self, message: Message, job: FakeJob | None, common: Message) -> Message:
        step = job.next_step() if job is not None and not job.cancelled else None
        if step is None:
            if job is not None:
                job.finished = True
            return {"job_step": {"finish": True}, "msg": "no steps to execute", **common}
        return {"job_step": step, **common}

    def _on_step_result2(self, message: Message, job: FakeJob | None, common: Message) -> Message:
        if job is None or job.id != message["job_id"]:
            return {}
        if job.cancelled:
            job.finished = True
            return {"cancel": True}
        kept = dict(message["result"])
        job.statuses[message["step_idx"]] = kept.pop("status")
        job.kept[message["step_idx"]] = kept
        return {"timeout": 500}

    def _on_keep_alive(self, message: Message, job: FakeJob | None, common: Message) -> Message:
        if job is not None and job.cancelled:
            job.finished = True
            return {"cancel": True}
        return {}

    def _on_dispatch_tests(self, message: Message, job: FakeJob | None, common: Message) -> Message:
        tests = message["tests"]
        if job is None or len(set(tests)) != len(tests):
            return {}
        job.tests += tests
        return {"tests": tests}


def serving(server: FakeServer, address: tuple[str, int], tls: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
    """Serve at an address, until it is shut down."""
    http = ThreadingHTTPServer(address, _handler(server))
    http.daemon_threads = True
    if tls is not None:
        # A client that refuses the certificate ends its own connection alone.
        http.socket = tls.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    return http


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.paths.append(self.path)
            server.clients.add(self.client_address[0])
            message = json.loads(body)
            trouble = server.trouble(message)
            if trouble is None:
                answer = json.dumps(server.answer(message)).encode()
                if not server.loses(message):
                    self._reply(200, answer)
                return
            status, content, delay = trouble
            time.sleep(delay)
            self._reply(status, content)

        def do_GET(self) -> None:
            content = server.files.get(self.path)
            self._reply(200 if content is not None else 404, content or b"")

        def _reply(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string((timestamp or time.time()) - server.clock_behind)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    return Handler


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    """A server for one test."""
    server = FakeServer()
    try:
        yield server
    finally:
        server.close()
