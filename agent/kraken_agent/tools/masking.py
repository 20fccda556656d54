"""Hides secrets by their values in everything that leaves: a stream of bytes wherever it is cut, texts, messages.

The agent and kktool share it. A server sends the secrets of a project escaped as in a Python literal (`\\n`, `\\xed`),
and programs print them in still other ways, so each secret is looked for in several forms.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Iterator, List, Mapping, Tuple

MASK = b"******"
# Shorter ones would turn ordinary text into asterisks.
_SHORTEST = 4
# A long line of a secret is hidden on its own too: a program may print the secret indented, or a line of it.
_SHORTEST_LINE = 8
# A stream that consists of overlapping secrets is not kept for longer than this.
_MOST_HELD_BYTES = 64 * 1024
# Words of the protocol: they say how a step went, and come from the agent itself.
_PROTOCOL_FIELDS = ("status", "reason")


def secrets_of(step: Mapping[str, Any]) -> List[str]:
    """Return every secret that the server put into a job or a step, as the server wrote it."""
    listed = step.get("secrets")
    found = [str(value) for value in listed] if isinstance(listed, (list, tuple)) else []
    found += [str(step[key]) for key in ("access-token", "minio_secret_key") if step.get(key)]
    key = step.get("ssh-key")
    if isinstance(key, dict) and key.get("key"):
        found.append(str(key["key"]).strip())
    return found


class Masker:
    """Replaces secrets by asterisks.

    Args:
        secrets: their values, as they are or escaped as a server sends them.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for value in secrets for text in _texts(value) for form in _encoded(text)}
        # What is a part of the mask itself tells nothing, and could never be hidden by it.
        self._secrets = sorted(form for form in forms if len(form) >= _SHORTEST and form not in MASK)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of a stream; return what can be shown now.

        What may be the beginning of a secret is kept until more is known.
        """
        if not self._secrets:
            return data
        data = self._held + data
        ranges = self._ranges(data)
        cut = len(data) - max(_open_end(data, secret) for secret in self._secrets)
        for start, end in reversed(ranges):
            if start < cut < end:
                cut = end if end - start > _MOST_HELD_BYTES else start
        self._held = data[cut:]
        return self.mask(data[:cut])

    def close(self) -> bytes:
        """Return the rest of a stream that has ended."""
        rest, self._held = self._held, b""
        return self.mask(rest)

    def mask(self, data: bytes) -> bytes:
        """Hide the secrets in bytes that stand for themselves."""
        shown, place = [], 0
        for start, end in self._ranges(data):
            shown += [data[place:start], MASK]
            place = end
        return b"".join([*shown, data[place:]])

    def mask_text(self, text: str) -> str:
        """Hide the secrets in text that stands for itself."""
        if not self._secrets:
            return text
        return self.mask(_utf8(text)).decode("utf-8", "replace")

    def mask_message(self, message: Mapping[str, Any]) -> Dict[str, Any]:
        """Hide the secrets in every text of a message to the server, but for the protocol's own words."""
        return {key: value if key in _PROTOCOL_FIELDS else self._mask_value(value) for key, value in message.items()}

    def _mask_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.mask_text(value)
        if isinstance(value, (list, tuple)):
            return [self._mask_value(item) for item in value]
        if isinstance(value, dict):
            return {self.mask_text(str(key)): self._mask_value(item) for key, item in value.items()}
        return value

    def _ranges(self, data: bytes) -> List[Tuple[int, int]]:
        """Return where secrets are, in order. Those that overlap are one range, so that no rest of them is shown."""
        found = sorted(place for secret in self._secrets for place in _places(data, secret))
        merged: List[Tuple[int, int]] = []
        for start, end in found:
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged


def _texts(value: str) -> Iterator[str]:
    """Yield the texts that a secret may stand for: itself, what it is when unescaped, and the long lines of both."""
    for text in (value, _unescaped(value)):
        yield text
        yield text.strip()
        lines = text.splitlines()
        if len(lines) > 1:
            yield "\r\n".join(lines)
            yield from (line for line in lines if len(line) >= _SHORTEST_LINE and not line.startswith("-----"))


def _unescaped(value: str) -> str:
    """Return what the server had before it escaped a secret; the value itself when it is not escaped."""
    try:
        return value.encode("ascii").decode("unicode_escape") if "\\" in value else value
    except UnicodeError:
        return value


def _encoded(text: str) -> Iterator[bytes]:
    """Yield the bytes that programs print for a text: as it is, in JSON, in a Python literal, in a shell's trace."""
    plain = _utf8(text)
    yield plain
    yield json.dumps(text)[1:-1].encode()
    yield _utf8(json.dumps(text, ensure_ascii=False)[1:-1])
    yield text.encode("unicode_escape")
    yield _utf8(repr(text)[1:-1])
    yield plain.replace(b"'", b"'\\''")
    yield b"".join(bytes((byte,)) if 32 <= byte < 127 else b"\\%03o" % byte for byte in plain)
    if not text.isascii() and all(ord(character) < 256 for character in text):
        yield text.encode("latin-1")


def _utf8(text: str) -> bytes:
    """Return text as programs get it; the halves of characters that JSON may have are kept."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeError:
        return text.encode("utf-8", "surrogatepass")


def _places(data: bytes, secret: bytes) -> Iterator[Tuple[int, int]]:
    """Yield where a secret is in the data, overlapping places too."""
    start = data.find(secret)
    while start >= 0:
        yield start, start + len(secret)
        start = data.find(secret, start + 1)


def _open_end(data: bytes, secret: bytes) -> int:
    """Return the length of the longest end of the data that is a true beginning of the secret."""
    longest = min(len(secret) - 1, len(data))
    start = data.find(secret[:1], len(data) - longest)
    while start >= 0:
        if secret.startswith(data[start:]):
            return len(data) - start
        start = data.find(secret[:1], start + 1)
    return 0
