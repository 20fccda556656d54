"""Reads one HTTP/1.1 answer from a connection: its head and its body, in whichever of the three ways it comes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Tuple

_MOST_HEADER_BYTES = 64 * 1024
_MOST_BODY_BYTES = 256 * 1024 * 1024


class HttpAnswer:
    """One answer. ValueError says what is wrong with it.

    Args:
        receive: gives the next bytes, none at the end.
    """

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._buffer = b""
        # When the server made the answer, in its own words.
        self.date = ""

    def read(self) -> Tuple[int, bytes]:
        """Return status and body."""
        status, headers = self.head()
        # These only announce the answer that follows.
        while status in (100, 102, 103):
            status, headers = self.head()
        self.date = headers.get("date", "")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return status, self._chunks()
        length = headers.get("content-length")
        if length is not None:
            return status, self._exactly(_size(length, 10))
        return status, self._rest()

    def head(self) -> Tuple[int, Dict[str, str]]:
        """Return status and headers, their names in lower case.

        Raises:
            ValueError: this is no HTTP.
        """
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        if not first.startswith("HTTP/1.") or len(words) < 2 or not words[1].isdigit():
            raise ValueError(f"its answer begins with {first[:40]!r}")
        headers = {}
        for line in lines:
            key, _, value = line.partition(":")
            headers[key.strip().lower()] = value.strip()
        return int(words[1]), headers

    def _chunks(self) -> bytes:
        parts: List[bytes] = []
        total = 0
        while True:
            size = _size(self._until(b"\r\n").split(b";")[0].decode("latin-1"), 16)
            total += size
            if total > _MOST_BODY_BYTES:
                raise ValueError("its answer is too long")
            if size == 0:
                return b"".join(parts)
            parts.append(self._exactly(size))
            # Behind each chunk there is a line end, which its size does not count.
            self._exactly(2)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            if len(self._buffer) > _MOST_HEADER_BYTES:
                raise ValueError("its header is too long")
            self._more()
        head, _, self._buffer = self._buffer.partition(mark)
        return head

    def _exactly(self, size: int) -> bytes:
        parts = [self._buffer[:size]]
        self._buffer = self._buffer[size:]
        missing = size - len(parts[0])
        while missing > 0:
            self._more()
            parts.append(self._buffer[:missing])
            self._buffer = self._buffer[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def _rest(self) -> bytes:
        parts = [self._buffer]
        total = len(self._buffer)
        while True:
            data = self._receive()
            if not data:
                return b"".join(parts)
            total += len(data)
            if total > _MOST_BODY_BYTES:
                raise ValueError("its answer is too long")
            parts.append(data)

    def _more(self) -> None:
        data = self._receive()
        if not data:
            raise ValueError("its answer is cut off")
        self._buffer += data


def _size(text: str, base: int) -> int:
    size = int(text, base)
    if not 0 <= size <= _MOST_BODY_BYTES:
        raise ValueError("its answer is too long")
    return size
