"""Reports that the server does not have yet: on disk, so that neither a dead server nor a dead agent loses one."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional

    Message = Dict[str, Any]

_SUFFIX = ".json"


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
            os.makedirs(directory, mode=0o700, exist_ok=True)
            self._names = sorted(name for name in os.listdir(directory) if name.endswith(_SUFFIX))
        except OSError as error:
            self._failed(error)
        self._next = int(self._names[-1][: -len(_SUFFIX)], 10) + 1 if self._names else 1

    def __bool__(self) -> bool:
        return bool(self._names)

    def append(self, message: Mapping[str, Any]) -> None:
        """Add a message; a whole file or none is on disk afterwards."""
        name = f"{self._next:012d}{_SUFFIX}"
        self._next += 1
        path = os.path.join(self._directory, name)
        try:
            descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(json.dumps(message).encode())
            os.replace(path + ".new", path)
            self._disk_failed = False
        except OSError as error:
            self._failed(error)
            self._memory[name] = dict(message)
        self._names.append(name)

    def first(self) -> Optional[Message]:
        """The oldest message; what cannot be read as one is dropped."""
        while self._names:
            name = self._names[0]
            if name in self._memory:
                return self._memory[name]
            try:
                with open(os.path.join(self._directory, name), "rb") as file:
                    message = json.loads(file.read())
                if isinstance(message, dict):
                    return message
            except (OSError, ValueError) as error:
                self._warn(f"a kept report cannot be read: {error}")
            self.drop_first()
        return None

    def drop_first(self) -> None:
        """The oldest message has arrived."""
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
