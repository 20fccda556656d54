"""The few calls of the Docker Engine API that every job needs, over the engine's own socket.

The `docker` SDK is not needed: importing it costs more than a whole job should, a third of a second of CPU, and a host
or an image need not have it. Reading the answer of a started program here also means that no byte of its first output
is lost.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
import time
import urllib.parse
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from kraken_agent.executors.base import ExecutorError
from kraken_agent.executors.container.programs import Program

DEFAULT_HOST = "unix:///var/run/docker.sock"
# Containers of jobs carry them. An agent removes only what its own installation has made; the address is for people.
INSTALLATION_LABEL = "org.kraken-ci.agent.installation"
LABEL = "org.kraken-ci.agent"
JOB_LABEL = "org.kraken-ci.agent.job"

_TIMEOUT_SECONDS = 60.0
_READ_SIZE = 64 * 1024
_SILENCE_SECONDS = 1.0
_GONE = 404
_CONFLICT = 409
# The frames in which the engine sends what a program writes: 1 byte stream (1 output, 2 error), 3 empty bytes, 4 bytes
# length (big endian), then the payload. Source: Docker Engine API, "Attach to a container", stream format.
STDOUT = 1
STDERR = 2
_FRAME_HEADER = struct.Struct(">BxxxL")


class EngineError(ExecutorError):
    """The engine refused, or is not there; the message is what it said."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class EngineSocket:
    """One engine.

    Args:
        host: as DOCKER_HOST has it: `unix://PATH` or `tcp://HOST:PORT`; default that variable, then the usual socket.
        timeout: seconds that the engine may take for an answer.

    Raises:
        EngineError: the address is of another kind, such as ssh.
    """

    def __init__(self, host: Optional[str] = None, *, timeout: float = _TIMEOUT_SECONDS) -> None:
        address = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        parts = urllib.parse.urlsplit(address)
        if parts.scheme not in ("unix", "tcp") or os.environ.get("DOCKER_TLS_VERIFY"):
            raise EngineError(f"the agent reaches Docker engines over unix:// and plain tcp://, not over {address}")
        self.path = parts.path if parts.scheme == "unix" else ""
        self._target = (parts.hostname or "", parts.port or 2375)
        self._timeout = timeout

    def version(self) -> str:
        """Return the engine's version."""
        return str(self.get("/version")["Version"])

    def get(self, path: str) -> Any:
        """Return what the engine answers to a question, such as `/info`."""
        return json.loads(self._ask("GET", path))

    def post(self, path: str, body: Optional[Mapping[str, Any]] = None) -> Any:
        """Have the engine do something, such as `/networks/create`; what it answers, None when that is nothing."""
        data = b"" if body is None else json.dumps(body).encode()
        return json.loads(self._ask("POST", path, data) or b"null")

    def inspect(self, container: str) -> Dict[str, Any]:
        """Return everything that the engine knows about a container."""
        found: Dict[str, Any] = self.get(f"/containers/{container}/json")
        return found

    def image(self, name: str) -> Optional[Dict[str, Any]]:
        """Return everything that the engine knows about an image; None when it does not have it."""
        try:
            found: Dict[str, Any] = self.get(f"/images/{urllib.parse.quote(name)}/json")
        except EngineError as error:
            if error.status != _GONE:
                raise
            return None
        return found

    def remove_image(self, name: str) -> None:
        """Remove an image by its name; its layers stay as long as another image has them.

        Raises:
            EngineError: a container needs it.
        """
        self._ask("DELETE", f"/images/{urllib.parse.quote(name)}")

    def containers(self, installation: str, job: Optional[int] = None) -> List[str]:
        """Return the ids of the containers of an installation's jobs, or of one of them, running or not."""
        labels = [f"{INSTALLATION_LABEL}={installation}"] + ([f"{JOB_LABEL}={job}"] if job is not None else [])
        query = urllib.parse.urlencode({"all": "1", "filters": json.dumps({"label": labels})})
        return [str(entry["Id"]) for entry in self.get(f"/containers/json?{query}")]

    def remove(self, container: str) -> None:
        """End a container and remove it with everything in it; one that is gone, or just going, is fine."""
        try:
            self._ask("DELETE", f"/containers/{container}?force=1&v=1")
        except EngineError as error:
            # 409: somebody else is removing it at the moment.
            if error.status not in (_GONE, _CONFLICT):
                raise

    def events(self, path: str, headers: Mapping[str, str]) -> Iterator[Dict[str, Any]]:
        """Have the engine do something that takes long; yield what it says meanwhile, one object a line.

        Raises:
            EngineError: it refuses, or does not answer.
        """
        connection = http.client.HTTPConnection("docker", timeout=self._timeout)
        try:
            connection.sock = self._connect()
            connection.request("POST", path, headers=dict(headers))
            answer = connection.getresponse()
            if answer.status >= http.client.BAD_REQUEST:
                raise EngineError(_message(answer.read()), answer.status)
            for line in answer:
                if line.strip():
                    yield json.loads(line)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise EngineError(f"the Docker engine does not answer: {error}") from error
        finally:
            connection.close()

    def unpack(self, container: str, archive: bytes) -> None:
        """Unpack a tar archive at the root of a container; missing directories are made."""
        self._ask("PUT", f"/containers/{container}/archive?path=/", archive, "application/x-tar")

    def run(self, container: str, program: Program) -> int:
        """Run a program in a container to its end; return its exit code.

        It leads its own session and process group there. It has ended when its output has, or when it is gone and only
        a daemon that it left keeps the output open.
        """
        wanted: Dict[str, Any] = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
        wanted.update(Cmd=list(program.argv), User=program.user, WorkingDir=program.cwd)
        wanted["Env"] = [f"{name}={value}" for name, value in program.env.items()]
        execution = str(self.post(f"/containers/{container}/exec", wanted)["Id"])
        stream, first = self._hijack(f"/exec/{execution}/start", {"Detach": False, "Tty": False})
        with stream:
            if program.stdin:
                stream.sendall(program.stdin)
            # The program reads the end of its input; what it writes still comes over the other half of the connection.
            stream.shutdown(socket.SHUT_WR)
            self._pump(execution, stream, first, program)
        return self._exit_code(execution)

    def _pump(self, execution: str, stream: socket.socket, first: bytes, program: Program) -> None:
        decoder = FrameDecoder()
        stream.settimeout(_SILENCE_SECONDS)
        data = first
        while True:
            for kind, payload in decoder.feed(data):
                (program.on_stderr if kind == STDERR else program.on_stdout)(payload)
            try:
                data = stream.recv(_READ_SIZE)
            # A daemon that the program left holds the output open. So after a second of silence the engine is asked.
            except socket.timeout:
                if not self.get(f"/exec/{execution}/json")["Running"]:
                    return
                data = b""
                continue
            if not data:
                return

    def _exit_code(self, execution: str) -> int:
        """It may take the engine a moment to know it; a program that closed its output early is waited for."""
        pause = 0.005
        while True:
            found = self.get(f"/exec/{execution}/json")
            if not found["Running"] and found["ExitCode"] is not None:
                return int(found["ExitCode"])
            time.sleep(pause)
            pause = min(pause * 2, 0.2)

    def _hijack(self, path: str, body: Mapping[str, Any]) -> Tuple[socket.socket, bytes]:
        """Start a request whose connection then belongs to a program; also returns what it has already written."""
        data = json.dumps(body).encode()
        stream = self._connect()
        try:
            stream.sendall(
                f"POST {path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(data)}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode()
                + data
            )
            head = b""
            while b"\r\n\r\n" not in head:
                chunk = stream.recv(_READ_SIZE)
                head += chunk or b" 0 the Docker engine closed the connection\r\n\r\n"
        except OSError as error:
            stream.close()
            raise EngineError(f"the Docker engine does not answer: {error}") from error
        head, _, rest = head.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status not in (http.client.OK, http.client.SWITCHING_PROTOCOLS):
            stream.close()
            raise EngineError(_message(rest or head), status)
        return stream, rest

    def _ask(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
        connection = http.client.HTTPConnection("docker", timeout=self._timeout)
        try:
            connection.sock = self._connect()
            connection.request(method, path, body=body or None, headers={"Content-Type": kind})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"the Docker engine does not answer: {error}") from error
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise EngineError(_message(content), answer.status)
        return content

    def _connect(self) -> socket.socket:
        try:
            if not self.path:
                return socket.create_connection(self._target, timeout=self._timeout)
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(self._timeout)
            connection.connect(self.path)
        except OSError as error:
            raise EngineError(f"the Docker engine cannot be reached: {error}") from error
        return connection


class FrameDecoder:
    """Takes bytes as they arrive and gives whole or partial payloads at once: nothing waits for the end of a frame."""

    def __init__(self) -> None:
        self._header = b""
        self._stream = 0
        self._left = 0

    def feed(self, data: bytes) -> List[Tuple[int, bytes]]:
        """Return the (stream, payload) pairs in the next bytes."""
        found: List[Tuple[int, bytes]] = []
        while data:
            if self._left:
                payload, data = data[: self._left], data[self._left :]
                self._left -= len(payload)
                found.append((self._stream, payload))
                continue
            missing = _FRAME_HEADER.size - len(self._header)
            self._header, data = self._header + data[:missing], data[missing:]
            if len(self._header) == _FRAME_HEADER.size:
                self._stream, self._left = _FRAME_HEADER.unpack(self._header)
                self._header = b""
        return found


def _message(content: bytes) -> str:
    """Return what the engine says in an answer that is an error."""
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return content.decode("utf-8", "replace").strip() or "the Docker engine gave no reason"
