"""The frames in which a Docker engine sends what a program in a container writes. Pure.

Source: Docker Engine API, "Attach to a container", stream format: 1 byte stream (1 output, 2 error), 3 empty bytes, 4
bytes length (big endian), then the payload.
"""

from __future__ import annotations

import struct
from typing import List, Tuple

STDOUT = 1
STDERR = 2
_HEADER = struct.Struct(">BxxxL")


class FrameDecoder:
    """Takes bytes as they arrive and gives whole or partial payloads at once: nothing waits for the end of a frame."""

    def __init__(self) -> None:
        self._header = b""
        self._stream = 0
        self._left = 0

    def feed(self, data: bytes) -> List[Tuple[int, bytes]]:
        """The (stream, payload) pairs in the next bytes."""
        found: List[Tuple[int, bytes]] = []
        while data:
            if self._left:
                payload, data = data[: self._left], data[self._left :]
                self._left -= len(payload)
                found.append((self._stream, payload))
                continue
            missing = _HEADER.size - len(self._header)
            self._header, data = self._header + data[:missing], data[missing:]
            if len(self._header) == _HEADER.size:
                self._stream, self._left = _HEADER.unpack(self._header)
                self._header = b""
        return found
