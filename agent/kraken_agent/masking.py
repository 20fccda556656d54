"""Hides secrets in a stream of bytes, wherever the stream was cut."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, Mapping

MASK = b"******"
# Shorter ones would turn ordinary text into asterisks.
_SHORTEST = 4
# A long line of a secret is hidden on its own too: a program may print the secret indented.
_SHORTEST_LINE = 12


def secret_values(data: Mapping[str, Any]) -> List[str]:
    """Every secret that the server put into a job or a step."""
    found = [str(value) for value in data.get("secrets") or ()]
    found += [str(data[key]) for key in ("access-token", "minio_secret_key") if data.get(key)]
    key = data.get("ssh-key")
    if isinstance(key, dict) and key.get("key"):
        found.append(str(key["key"]).strip())
    return found


def _forms(value: str) -> Iterable[str]:
    yield value
    lines = value.splitlines()
    if len(lines) > 1:
        yield "\r\n".join(lines)
        yield from (line for line in lines if len(line) >= _SHORTEST_LINE and not line.startswith("-----"))


class Masker:
    """Replaces secrets by asterisks in one stream; what may be the start of a secret is kept until more is known."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form.encode("utf-8", "surrogateescape") for value in secrets for form in _forms(value)}
        # The longest first: a secret within a secret leaves no rest of the outer one.
        self._secrets = sorted((form for form in forms if len(form) >= _SHORTEST), key=len, reverse=True)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; returns what can be shown now."""
        if not self._secrets:
            return data
        data = self._held + data
        cut = self._safe_cut(data)
        self._held = data[cut:]
        return self.mask(data[:cut])

    def close(self) -> bytes:
        """The stream has ended: returns the rest."""
        rest, self._held = self._held, b""
        return self.mask(rest)

    def mask(self, data: bytes) -> bytes:
        """Hide the secrets in bytes that stand for themselves."""
        for secret in self._secrets:
            data = data.replace(secret, MASK)
        return data

    def mask_text(self, text: str) -> str:
        """Hide the secrets in text that stands for itself."""
        return self.mask(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")

    def _safe_cut(self, data: bytes) -> int:
        """How much can go: no secret begins in it that is not whole, and none that is whole reaches beyond."""
        cut = len(data) - max(_open_end(data, secret) for secret in self._secrets)
        moved = True
        while moved:
            moved = False
            for secret in self._secrets:
                start = data.find(secret, max(0, cut - len(secret) + 1))
                if 0 <= start < cut < start + len(secret):
                    cut, moved = start, True
        return cut


def _open_end(data: bytes, secret: bytes) -> int:
    """Length of the longest end of the data that is a true beginning of the secret."""
    longest = min(len(secret) - 1, len(data))
    start = data.find(secret[:1], len(data) - longest)
    while start >= 0:
        if secret.startswith(data[start:]):
            return len(data) - start
        start = data.find(secret[:1], start + 1)
    return 0
