"""Runs steps inside a container: shell commands as they are, other tools through a kktool that is copied in.

Shell steps need nothing in the image but `/bin/sh`. A program is started through a line of shell that first says its
process id, so that it can be ended with everything it started. kktool gets its step through its input and sends its
messages through its standard error, so neither network nor shared files are needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional, Protocol, Sequence

from kraken_agent.executors.archive import pack_files, pack_tree
from kraken_agent.executors.base import Executor, ExecutorError, ShellCommand, ToolCall
from kraken_agent.executors.kktool_file import build_kktool
from kraken_agent.executors.stopping import Stopping, survive_broken_pipes
from kraken_agent.tools.locate import ToolCode, ToolNotFoundError, locate

if TYPE_CHECKING:
    from kraken_agent.executors.base import Send

OnBytes = Callable[[bytes], None]

# Where the agent's own files are in a container.
HOME = "/opt/kraken-job"

_SAY_PID = 'echo $$; exec "$@"'
# Of two streams nobody can tell afterwards which line came first, so a shell step has only one.
_ONE_STREAM = 'echo $$; exec "$@" 2>&1'
# The key comes through the input, and is only in the memory of an agent that ends with the step.
_WITH_KEY = (
    "command -v ssh-agent >/dev/null || { echo 'the step has an ssh-key, and the image has no ssh-agent'; exit 127; }; "
    'eval "$(ssh-agent -s)" >/dev/null; ssh-add -q - || exit; '
    '"$@"; code=$?; kill "$SSH_AGENT_PID"; exit "$code"'
)
_NO_PYTHON = 96
_NO_FILES = 97
# Any Python from 3.8 on with its standard library, of which distributions have cut-down packages; the names beside
# python3 are those that distributions with an older python3 give a newer one. $1 must be there for the tool to run.
_WITH_PYTHON = (
    f'for needed in {HOME}/kktool $1; do [ -e "$needed" ] || exit {_NO_FILES}; done; shift; '
    "for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 python; do "
    'if "$python" -c "import json, sys, zipfile; sys.exit(sys.version_info < (3, 8))" 2>/dev/null; '
    'then exec "$python" "$@"; fi; '
    f"done; exit {_NO_PYTHON}"
)
# Signals a process, its group and all its descendants, with nothing but the shell: $1 signal, $2 process.
_END_TREE = """
family=$2 found=$2
while [ -n "$found" ]; do
    parents=" $found " found=
    for stat in /proc/[0-9]*/stat; do
        read -r line 2>/dev/null <"$stat" || continue
        rest=${line##*) } rest=${rest#* }
        case $parents in *" ${rest%% *} "*) found="$found ${line%% *}" ;; esac
    done
    found=${found# } family="$family $found"
done
kill -s "$1" -- "-$2" 2>/dev/null
kill -s "$1" $family 2>/dev/null
exit 0
"""
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 2.0


class Box(Protocol):
    """A container that runs. Every method raises ExecutorError."""

    def execute(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        user: str,
        stdin: bytes,
        on_stdout: OnBytes,
        on_stderr: OnBytes,
    ) -> int:
        """Run a program to its end; returns its exit code. It is used from two threads."""

    def unpack(self, archive: bytes) -> None:
        """Unpack a tar archive at the root."""


class ContainerExecutor(Executor):
    """What Docker and LXD have in common; they say how a container is made, found again and removed."""

    has_setup = True

    def box(self) -> Box:
        """The container that `prepare` has made."""
        raise ExecutorError(f"executor {self.name} has no containers")

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
            process = _Process(box, _ONE_STREAM, argv, _environment(command.env), self._path(command.cwd), user)
            process.start(f"{key}\n".encode() if key else b"", _write_log, _write_log)
            return process.finish(stopping)

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
        while True:
            process = _Process(box, _SAY_PID, argv, environment, self.place.directory, user)
            process.start(json.dumps(call.step).encode(), _write_log, messages.feed)
            ended = process.finish(stopping)
            if ended != _NO_FILES:
                return ended
            self._bring_tool(box, code, place)

    def _bring_tool(self, box: Box, code: ToolCode, place: str) -> None:
        box.unpack(pack_files(HOME, {"kktool": (build_kktool(), 0o755)}))
        if place.startswith(HOME):
            box.unpack(pack_tree(place, code.paths[0]))

    def _place_of(self, code: ToolCode) -> str:
        """Where a user's tool is in the container; empty for a built-in one."""
        if code.is_builtin:
            return ""
        root = str(code.paths[0])
        if root.startswith(self.place.directory + "/"):
            return root
        return f"{HOME}/tools/{hashlib.sha256(root.encode()).hexdigest()[:16]}"

    def shares_directory(self) -> bool:
        """Whether the job's directory on the host and the one in the container are the same."""
        return False

    def default_user(self) -> str:
        """The user that programs run as when a step names none; empty means root."""
        return ""

    def _path(self, cwd: str) -> str:
        return os.path.normpath(os.path.join(self.place.directory, cwd))

    def _user(self, box: Box, user: str) -> str:
        """The user to run as, with leave to work in the job's directory; root needs none."""
        user = user or self.default_user()
        if user not in ("", "0", "root"):
            run_as_root(box, ["chown", user, self.place.directory])
        return user


def run_as_root(box: Box, argv: Sequence[str], stdin: bytes = b"") -> str:
    """Run a short program for the agent itself; returns its output.

    Raises:
        ExecutorError: it failed; the text has what it wrote.
    """
    output: List[bytes] = []
    code = box.execute(argv, env={}, cwd="/", user="0", stdin=stdin, on_stdout=output.append, on_stderr=output.append)
    text = b"".join(output).decode("utf-8", "replace").strip()
    if code != 0:
        raise ExecutorError(f"{' '.join(argv)} failed in the container: {text}")
    return text


class _Process:
    """A program in a container. A thread waits for it, so that the child can hear that it must stop."""

    def __init__(self, box: Box, start: str, argv: Sequence[str], env: Mapping[str, str], cwd: str, user: str) -> None:
        self._box = box
        self._argv = ["/bin/sh", "-c", start, "sh", *argv]
        self._env, self._cwd, self._user = env, cwd, user
        self._first = b""
        self._pid: Optional[int] = None
        self._code = 0
        self._error: Optional[BaseException] = None

    def start(self, stdin: bytes, on_stdout: OnBytes, on_stderr: OnBytes) -> None:
        """Start the program."""
        self._on_stdout = on_stdout

        def run() -> None:
            try:
                self._code = self._box.execute(
                    self._argv,
                    env=self._env,
                    cwd=self._cwd,
                    user=self._user,
                    stdin=stdin,
                    on_stdout=self._take,
                    on_stderr=on_stderr,
                )
            except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
                self._error = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def finish(self, stopping: Stopping) -> int:
        """Wait for the end; returns the exit code, -15 when the program was stopped.

        The agent gives five seconds between its SIGTERM and SIGKILL; half of them are the program's.
        """
        while not self._wait(_POLL_SECONDS):
            if not stopping:
                continue
            for name in ("TERM", "KILL"):
                self._signal(name)
                if self._wait(_GRACE_SECONDS):
                    break
            return -signal.SIGTERM
        if self._error is not None:
            raise self._error
        return self._code

    def _wait(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _signal(self, name: str) -> None:
        if self._pid is not None:
            with contextlib.suppress(ExecutorError):
                run_as_root(self._box, ["/bin/sh", "-c", _END_TREE, "sh", name, str(self._pid)])

    def _take(self, data: bytes) -> None:
        """The first line is the process id; everything after it is the program's own output."""
        if self._pid is not None:
            self._on_stdout(data)
            return
        self._first += data
        line, end, rest = self._first.partition(b"\n")
        if not end:
            return
        if not line.strip().isdigit():
            # The engine's own words, when the program could not even be started.
            self._pid, rest = 0, self._first
        else:
            self._pid = int(line)
        if rest:
            self._on_stdout(rest)


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
        """The last message of a tool that sent none."""
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
        self.complete = message["status"] != "in-progress"
        self._send(message)


def _bring_script(box: Box, script: str, user: str) -> str:
    """Put a script into the container; begins as upstream begins each. Everybody in there belongs to the job."""
    name = f"step-{os.urandom(8).hex()}.sh"
    mode = 0o600 if user in ("", "0", "root") else 0o644
    box.unpack(pack_files(HOME, {name: (("set -ex\n" + script).encode("utf-8", "surrogateescape"), mode)}))
    return f"{HOME}/{name}"


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """What the container adds to its own environment: the step's variables, and where the agent's services are."""
    passed = ("KRAKEN_MINIO_ADDR", "KRAKEN_CLICKHOUSE_ADDR", "KRAKEN_SERVER_ADDR")
    environment = {name: os.environ[name] for name in passed if name in os.environ}
    environment.update({name: str(value) for name, value in extra.items()})
    return environment


def _write_log(data: bytes) -> None:
    """The child's standard output is the job's log."""
    while data:
        data = data[os.write(1, data) :]
