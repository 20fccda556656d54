"""What a tool finds (results, issues, artifacts): the server's numbers for test results, and sending in batches."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Callable, Dict, List, Optional, Type

Send = Callable[[Dict[str, Any]], None]

# The numbers that the server knows test results by.
NOT_RUN = 0
PASSED = 1
FAILED = 2
ERROR = 3
DISABLED = 4
UNSUPPORTED = 5

BATCH_SIZE = 100
BATCH_SECONDS = 5.0


class Batches:
    """Collects items and sends them as `{"status": "in-progress", FIELD: [...]}`.

    A batch goes out when it has 100 items, or 5 seconds after its first one, even if the tool then is silent for an
    hour. Leaving the `with` block sends the rest. It may be used from several threads.

    Args:
        send: takes one message for the agent.
        field: `test-results`, `issues` or `artifacts`.
        size: items that make a batch full.
        seconds: how long the first item of a batch may wait.
    """

    def __init__(self, send: Send, field: str, *, size: int = BATCH_SIZE, seconds: float = BATCH_SECONDS) -> None:
        self._send = send
        self._field = field
        self._size = size
        self._seconds = seconds
        self._items: List[Any] = []
        self._lock = threading.Lock()
        self._timer: Optional[threading.Timer] = None

    def __enter__(self) -> "Batches":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.flush()

    def add(self, item: Any) -> None:
        """Take one item."""
        with self._lock:
            self._items.append(item)
            if len(self._items) >= self._size:
                self._send_now()
            elif self._timer is None:
                self._timer = threading.Timer(self._seconds, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Send what there is; nothing when there is nothing."""
        with self._lock:
            self._send_now()

    def _send_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._items:
            items, self._items = self._items, []
            self._send({"status": "in-progress", self._field: items})
