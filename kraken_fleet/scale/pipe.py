"""A slice's process and the pipe to it: what each runner has at its end, wherever the process is."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Sequence

from kraken_fleet.scale.events import SliceEnded, SliceEvent, slice_event
from kraken_fleet.scale.playbook_processes import PlaybookProcesses
from kraken_fleet.scale.runner import Slice
from kraken_fleet.scale.slice_process import SILENCE, bare_environment

_COMMAND = (sys.executable, "-m", "kraken_fleet.scale.slice_process")
# More than the process itself grants ansible-playbook to end.
_PATIENCE = 15.0
_LONGEST = 500


class SliceProcess:
    """A process that deploys a slice. When this one ends or stops, in whatever way, that one sees it, and stops.

    Args:
        work: the slice.
        command: begins the process, on this machine or on another one.
    """

    def __init__(self, work: Slice, command: Sequence[str] = _COMMAND) -> None:
        self._work = work
        self._over = threading.Event()
        self._writing = threading.Lock()
        # A file and no pipe: nobody reads it meanwhile, and a full pipe would stop the process.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - is closed by events()
        self._process = subprocess.Popen(
            command,
            env=bare_environment(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            start_new_session=True,  # it ends with the pipe, and by no signal that is meant for this one's group
        )

    def events(self) -> Generator[SliceEvent, None, None]:
        """Yield what happens, a SliceEnded at the end."""
        ended = False
        try:
            # A process that has ended before it read says why among its complaints.
            self._write(self._work.to_json() + "\n")
            threading.Thread(target=self._show_life, daemon=True).start()
            for line in self._process.stdout or ():
                event = slice_event(json.loads(line))
                ended = isinstance(event, SliceEnded)
                yield event
        finally:
            self.stop()
            self._wait()
        with self._complaints as complaints:
            complaints.seek(0)
            last = complaints.read()[-_LONGEST:].decode(errors="replace").strip()
        if not ended:
            why = f"Its process ended with code {self._process.returncode} before it had told the result: {last}"
            yield SliceEnded(self._work.number, 1, {host: {"failed": why} for host in self._work.hosts}, why)

    def stop(self) -> None:
        """Let the process see that nobody wants its slice any more."""
        self._over.set()
        with self._writing, contextlib.suppress(BrokenPipeError):
            if self._process.stdin:
                self._process.stdin.close()

    def _show_life(self) -> None:
        """Write a line now and then. Who does not, such as a process that is stopped, may have lost the slice."""
        while not self._over.wait(SILENCE / 10):
            self._write("\n")

    def _write(self, text: str) -> None:
        # A process that has ended before it read says why among its complaints.
        with self._writing, contextlib.suppress(BrokenPipeError):
            if self._process.stdin and not self._over.is_set():
                self._process.stdin.write(text)
                self._process.stdin.flush()

    def _wait(self) -> None:
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            # It is stopped, say. Its ansible-playbook would go on without it.
            begun = PlaybookProcesses(self._process.pid)
            begun.look()
            self._process.kill()
            begun.kill()
            self._process.wait()
