"""Runs steps inside a container: shell commands as they are, other tools through a kktool that is copied in.

kktool gets its step through its input and sends its messages through its standard error, so neither network nor shared
files are needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Mapping

from kraken_agent.executors.base import Executor, ExecutorError, ShellCommand, ToolCall
from kraken_agent.executors.container.files import build_kktool, pack_files, pack_tree
from kraken_agent.executors.container.programs import (
    ONE_STREAM,
    PRINT_PID,
    Box,
    Program,
    RunningProgram,
    Stopping,
    run_as_root,
    survive_broken_pipes,
)
from kraken_agent.tools.locate import ToolCode, ToolNotFoundError, locate
from kraken_agent.tools.output import say

if TYPE_CHECKING:
    from kraken_agent.executors.base import Send

# Where the agent's own files are in a container.
HOME = "/opt/kraken-job"

# The key comes through the input, and is only in the memory of an agent that ends with the step.
_WITH_KEY = (
    "command -v ssh-agent >/dev/null || { echo 'the step has an ssh-key, and the image has no ssh-agent'; exit 127; }; "
    'eval "$(ssh-agent -s)" >/dev/null; ssh-add -q - || exit; '
    '"$@"; code=$?; kill "$SSH_AGENT_PID"; exit "$code"'
)
_BUSY_SECONDS = 30.0
_BUSY_PAUSE_SECONDS = 1.0
_NO_PYTHON = 96
_NO_FILES = 97
# Any Python from 3.8 on with its standard library, of which distributions have cut-down packages; the names beside
# python3 are those that distributions with an older python3 give a newer one. $1 must be there for the tool to run.
_PYTHONS = " ".join(["python3", *(f"python3.{minor}" for minor in range(19, 7, -1)), "python"])
_WITH_PYTHON = (
    f'for needed in {HOME}/kktool $1; do [ -e "$needed" ] || exit {_NO_FILES}; done; shift; '
    f"for python in {_PYTHONS}; do "
    'if "$python" -c "import json, sys, zipfile; sys.exit(sys.version_info < (3, 8))" 2>/dev/null; '
    'then exec "$python" "$@"; fi; '
    f"done; exit {_NO_PYTHON}"
)


class ContainerExecutor(Executor, ABC):
    """What Docker and LXD have in common; they say how a container is made, found again and removed.

    Attributes:
        package: the Python package without which jobs are not offered; empty when none is needed.
    """

    has_setup = True
    package = ""

    @classmethod
    def detect(cls) -> str:
        """Return the engine's version.

        Raises:
            ExecutorError: its jobs cannot run here.
        """
        if cls.package and importlib.util.find_spec(cls.package) is None:
            raise ExecutorError(f"the Python package {cls.package} is not installed for {sys.executable}")
        return cls.version()

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """Ask the engine, without a library that is slow to import."""

    @classmethod
    def sweep(cls, installation: str) -> None:
        """Remove the containers that a killed agent of this installation left."""
        survive_broken_pipes()
        for container in cls.containers(installation):
            until = time.monotonic() + _BUSY_SECONDS
            while not cls._is_removed(container, until):
                time.sleep(_BUSY_PAUSE_SECONDS)
            say(f"container {container} of an earlier job is removed")

    @classmethod
    def _is_removed(cls, container: str, until: float) -> bool:
        """Return whether it could be removed: the engine may still be at what the killed agent has asked for."""
        try:
            cls.remove(container)
        except ExecutorError:
            if time.monotonic() >= until:
                raise
            return False
        return True

    @classmethod
    @abstractmethod
    def containers(cls, installation: str) -> List[str]:
        """Return the containers of an installation's jobs, running or not."""

    @classmethod
    @abstractmethod
    def remove(cls, container: str) -> None:
        """End a container and remove it with everything in it; one that is gone is fine."""

    def abandon(self, state: Mapping[str, Any]) -> None:
        """Remove the container that `prepare` has made."""
        self.remove(str(state["container"]))

    @abstractmethod
    def box(self) -> Box:
        """Return the container that `prepare` has made."""

    def shell(self, command: ShellCommand) -> int:
        """Run a shell step."""
        survive_broken_pipes()
        box = self.box()
        user = self._user(box, command.user)
        argv = list(command.argv)
        if command.script is not None:
            argv.append(_bring_script(box, command.script, user))
        key = command.ssh_key.replace("\r\n", "\n").strip()
        if key:
            argv = ["/bin/sh", "-c", _WITH_KEY, "sh", *argv]
        with Stopping() as stopping:
            stdin = f"{key}\n".encode() if key else b""
            where = _environment(command.env), self._path(command.cwd), user
            program = Program(argv, *where, stdin, _write_log, _write_log)
            return RunningProgram(box, program, ONE_STREAM).finish(stopping)

    def tool(self, call: ToolCall, send: Send) -> None:
        """Run a tool's command; a tool that ends without a last word of its own gets one."""
        survive_broken_pipes()
        box = self.box()
        try:
            code = self._locate(call)
        except ToolNotFoundError as error:
            send({"status": "error", "reason": "exception", "msg": str(error)})
            return
        messages = _Messages(send)
        with Stopping() as stopping:
            ended = self._run_tool(box, code, call, messages, stopping)
        if ended == _NO_PYTHON:
            messages.fail(
                f"the tool {call.step.get('tool')} needs Python 3.8 or later with its standard library, and the image "
                "has none; put python3 into the image, or do the same with a shell step, which needs no Python"
            )
        elif not messages.complete:
            messages.fail(f"the tool {call.step.get('tool')} ended without a result, exit code {ended}")

    def _locate(self, call: ToolCall) -> ToolCode:
        location = str(call.step.get("tool_location") or "")
        if location and not location.startswith(("/", "minio:")) and not self.shares_directory():
            # The job itself has brought the tool, and only the container can see it.
            root = Path(self._path(location))
            return ToolCode(str(call.step.get("tool_entry") or ""), (root, root / "vendor"))
        return locate(
            call.step,
            tools_dirs=[Path(directory) for directory in call.tools_dirs],
            data_dir=Path(self.place.data_dir),
            job_dir=Path(self.place.directory),
        )

    def _run_tool(self, box: Box, code: ToolCode, call: ToolCall, messages: _Messages, stopping: Stopping) -> int:
        user = self._user(box, str(call.step.get("user") or ""))
        place = self._place_of(code)
        environment = _environment(call.env)
        if place:
            environment["PYTHONPATH"] = ":".join(
                str(Path(place, path.relative_to(code.paths[0]))) for path in code.paths
            )
        kktool = [f"{HOME}/kktool", "-m", code.module, "-r", "fd:2", "-s", "-", call.command]
        argv = ["/bin/sh", "-c", _WITH_PYTHON, "sh", place or HOME, *kktool]
        # A tool's files are copied once for each step, and used again by its later commands.
        if place.startswith(HOME) and call.command == "get_commands":
            self._bring_tool(box, code, place)
        stdin = json.dumps(call.step).encode()
        program = Program(argv, environment, self.place.directory, user, stdin, _write_log, messages.feed)
        while True:
            # A job's first tool finds no kktool, and an earlier step may have removed it: it is brought when the shell
            # misses it.
            ended = RunningProgram(box, program, PRINT_PID).finish(stopping)
            if ended != _NO_FILES:
                return ended
            self._bring_tool(box, code, place)

    def _bring_tool(self, box: Box, code: ToolCode, place: str) -> None:
        box.unpack(pack_files(HOME, {"kktool": (build_kktool(), 0o755)}))
        if place.startswith(HOME):
            box.unpack(pack_tree(place, code.paths[0]))

    def _place_of(self, code: ToolCode) -> str:
        """Return where a user's tool is in the container; empty for a built-in one."""
        if code.is_builtin:
            return ""
        root = str(code.paths[0])
        if root.startswith(self.place.directory + "/"):
            return root
        return f"{HOME}/tools/{hashlib.sha256(root.encode()).hexdigest()[:16]}"

    def shares_directory(self) -> bool:
        """Return whether the job's directory on the host and the one in the container are the same."""
        return False

    def default_user(self) -> str:
        """Return the user that programs run as when a step names none; empty means root."""
        return ""

    def _path(self, cwd: str) -> str:
        return os.path.normpath(os.path.join(self.place.directory, cwd))

    def _user(self, box: Box, user: str) -> str:
        """Return the user to run as, with leave to work in the job's directory; root needs none."""
        user = user or self.default_user()
        if user not in ("", "0", "root"):
            run_as_root(box, ["chown", user, self.place.directory])
        return user


class _Messages:
    """Reads kktool's messages, one a line; what is none (Python's own complaints) belongs in the log."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._rest = b""
        self.complete = False

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)

    def fail(self, text: str) -> None:
        """Send the last message of a tool that sent none."""
        if self._rest:
            _write_log(self._rest + b"\n")
        self._send({"status": "error", "reason": "exception", "msg": text})

    def _take(self, line: bytes) -> None:
        try:
            message: Any = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict) or "status" not in message:
            _write_log(line + b"\n")
            return
        # Tools report progress any number of times, and then exactly one result.
        self.complete = message["status"] != "in-progress"
        self._send(message)


def _bring_script(box: Box, script: str, user: str) -> str:
    """Put a script into the container; begins as upstream begins each. Everybody in there belongs to the job."""
    name = f"step-{os.urandom(8).hex()}.sh"
    mode = 0o600 if user in ("", "0", "root") else 0o644
    box.unpack(pack_files(HOME, {name: (("set -ex\n" + script).encode("utf-8", "surrogateescape"), mode)}))
    return f"{HOME}/{name}"


def say_it_runs(container: str) -> None:
    """Write to the log that a container is there. When the agent no longer reads it, `abandon` is called next."""
    with contextlib.suppress(BrokenPipeError):
        say(f"{container} is running")


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return what the container adds to its environment: the step's variables, and where the agent's services are."""
    passed = ("KRAKEN_MINIO_ADDR", "KRAKEN_CLICKHOUSE_ADDR", "KRAKEN_SERVER_ADDR")
    environment = {name: os.environ[name] for name in passed if name in os.environ}
    environment.update({name: str(value) for name, value in extra.items()})
    return environment


def _write_log(data: bytes) -> None:
    """Write to the job's log, which is the child's standard output."""
    while data:
        data = data[os.write(1, data) :]
