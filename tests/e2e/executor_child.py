"""Calls an executor as the agent does: each method in a child of its own, whose output is the log."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from kraken_agent.executors.base import Executor, ExecutorError, JobPlace, ShellCommand, ToolCall


class ChildError(Exception):
    """What an executor raised in its child."""


class Line(NamedTuple):
    """A line of log, and when it came."""

    at: float
    text: str


class Job:
    """One job on an executor.

    Args:
        kind: the executor's class.
        directory: the job's.
        system: the image.
        address: of the agent.
        number: of the job.
    """

    def __init__(self, kind: type[Executor], directory: Path, system: str, address: str, number: int = 1) -> None:
        directory.mkdir(parents=True, mode=0o700, exist_ok=True)
        self.directory = directory
        data_dir = str(directory.parent.parent)
        place = JobPlace({"id": number, "system": system}, str(directory), data_dir, address, 60.0, address)
        self.executor = kind(place)
        # Who the agent is, when not who runs the tests: a user id, and a group.
        self.user: tuple[int, int] | None = None
        self.log: list[Line] = []
        self.messages: list[dict[str, Any]] = []

    def lines(self) -> list[str]:
        return [line.text for line in self.log]

    def prepare(self) -> None:
        self.executor.state = self._in_child(lambda send: self.executor.prepare()) or {}
        self.log.clear()

    def cleanup(self) -> None:
        self._in_child(lambda send: self.executor.cleanup())

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Prepare, and clean up at the end, whatever happens."""
        try:
            self.prepare()
            yield
        finally:
            self.cleanup()

    def shell(
        self,
        script: str,
        *,
        env: dict[str, str] | None = None,
        cwd: str = ".",
        user: str = "",
        ssh_key: str = "",
        stop_after: float = 0,
    ) -> int:
        command = ShellCommand(["/bin/sh", "-c", script], None, env or {}, cwd, user, ssh_key)
        return int(self._in_child(lambda send: self.executor.shell(command), stop_after))

    def script(self, text: str, user: str = "") -> int:
        command = ShellCommand(["/bin/sh"], text, {}, ".", user)
        return int(self._in_child(lambda send: self.executor.shell(command)))

    def tool(self, command: str, step: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
        call = ToolCall(command, step, options.pop("tools_dirs", []), options.pop("env", {}))
        self.messages.clear()
        self._in_child(lambda send: self.executor.tool(call, send), **options)
        return list(self.messages)

    def _in_child(self, action: Callable[[Callable[[Any], None]], Any], stop_after: float = 0) -> Any:
        log_in, log_out = os.pipe()
        news_in, news_out = os.pipe()
        pid = os.fork()
        if pid == 0:
            if self.user:
                uid, group = self.user
                os.setgroups([group])
                os.setuid(uid)
            _be_the_child(action, log_out, news_out)
        os.close(log_out)
        os.close(news_out)
        readers = [
            threading.Thread(target=self._read_log, args=(log_in,)),
            threading.Thread(target=self._read_news, args=(news_in,)),
        ]
        self._answer: Any = None
        self._error = ""
        for reader in readers:
            reader.start()
        if stop_after:
            time.sleep(stop_after)
            os.killpg(pid, signal.SIGTERM)
        _, status = os.waitpid(pid, 0)
        for reader in readers:
            reader.join()
        if self._error:
            raise ChildError(self._error)
        assert os.waitstatus_to_exitcode(status) == 0, self.lines()
        return self._answer

    def _read_log(self, descriptor: int) -> None:
        with os.fdopen(descriptor, errors="replace") as log:
            for line in log:
                self.log.append(Line(time.monotonic(), line.rstrip("\n")))

    def _read_news(self, descriptor: int) -> None:
        with os.fdopen(descriptor) as news:
            for line in news:
                entry = json.loads(line)
                if "message" in entry:
                    self.messages.append(entry["message"])
                self._answer = entry.get("answer", self._answer)
                self._error = entry.get("error", self._error)


def _be_the_child(action: Callable[[Callable[[Any], None]], Any], log: int, news: int) -> None:
    """Never returns."""
    os.setsid()
    # As the agent's own children begin.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.dup2(log, 1)
    os.dup2(log, 2)

    def tell(**entry: Any) -> None:
        os.write(news, json.dumps(entry).encode() + b"\n")

    import sys

    sys.stdout = os.fdopen(1, "w", closefd=False)
    try:
        tell(answer=action(lambda message: tell(message=message)))
    except ExecutorError as error:
        tell(error=str(error))
    except BaseException as error:
        tell(error=repr(error))
        raise
    finally:
        sys.stdout.flush()
        os._exit(0)
