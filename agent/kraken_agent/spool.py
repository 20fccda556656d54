"""Reports that the server does not have yet: on disk, so that neither a dead server nor a dead agent loses one."""

from __future__ import annotations

import os

from kraken_agent.state_files import StateError, own_directory, put_aside, read_object, write_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional

    Message = Dict[str, Any]

_SUFFIX = ".json"
# With leading zeros, so that the names sort as the reports came.
_DIGITS = 12


class Spool:
    """A queue of messages, oldest first. When the disk takes no more, it goes on in memory and says so once.

    Args:
        directory: of its own; made when it is not there.
        warn: told when the disk fails.
    """

    def __init__(self, directory: str, warn: Callable[[str], None]) -> None:
        self._directory = directory
        self._warn = warn
        self._memory: Dict[str, Message] = {}
        self._disk_failed = False
        self._names: List[str] = []
        try:
            own_directory(directory, 0o700, warn)
            self._names = sorted(name for name in os.listdir(directory) if _is_name(name))
        except OSError as error:
            self._failed(error)
        self._next = int(self._names[-1][: -len(_SUFFIX)]) + 1 if self._names else 1

    def __bool__(self) -> bool:
        return bool(self._names)

    def append(self, message: Mapping[str, Any]) -> None:
        """Add a message; when the disk does not take it, it is kept in memory."""
        name = f"{self._next:0{_DIGITS}d}{_SUFFIX}"
        self._next += 1
        try:
            write_object(os.path.join(self._directory, name), dict(message))
            self._disk_failed = False
        except OSError as error:
            self._failed(error)
            self._memory[name] = dict(message)
        self._names.append(name)

    def first(self) -> Optional[Message]:
        """Return the oldest message; what cannot be read as one is put aside."""
        while self._names:
            name = self._names[0]
            if name in self._memory:
                return self._memory[name]
            message = self._read(os.path.join(self._directory, name))
            if message is not None:
                return message
            self._names.pop(0)
        return None

    def _read(self, path: str) -> Optional[Message]:
        """Return the report in a file; None, with the file put aside, when it holds none."""
        try:
            message = read_object(path)
            if message is None or _is_report(message):
                return message
            why: object = "it is no report of a step"
        except StateError as error:
            why = error
        put_aside(path, why, self._warn)
        return None

    def drop_first(self) -> None:
        """Remove the oldest message, which has arrived."""
        name = self._names.pop(0)
        if self._memory.pop(name, None) is None:
            try:
                os.unlink(os.path.join(self._directory, name))
            except OSError as error:
                self._warn(f"a delivered report cannot be removed: {error}")

    def _failed(self, error: OSError) -> None:
        if not self._disk_failed:
            self._warn(f"reports cannot be kept on disk, only in memory: {error}")
        self._disk_failed = True


def is_report_file(path: str) -> bool:
    """Return whether a file in the directory of a queue holds a report."""
    try:
        return _is_name(os.path.basename(path)) and _is_report(read_object(path) or {})
    except StateError:
        return False


def _is_name(name: str) -> bool:
    """Return whether a file is called as this agent calls a report: `000000000001.json`."""
    stem = name[: -len(_SUFFIX)]
    return name.endswith(_SUFFIX) and len(stem) == _DIGITS and stem.isascii() and stem.isdigit()


def _is_report(message: Message) -> bool:
    numbers = (message.get("job_id"), message.get("step_idx"))
    # In Python True and False are numbers, too.
    return isinstance(message.get("result"), dict) and all(type(number) is int for number in numbers)
