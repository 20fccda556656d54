"""The files that the coordinator, the scheduler and the workers know each other by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kraken_fleet.errors import UsageError

SCHEME = "tls://"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate with its key, and the authority that has signed those of all others.

    Who has a certificate of that authority can run anything on every worker. So it signs for this alone.
    """

    ca: Path
    certificate: Path
    key: Path

    def __post_init__(self) -> None:
        """Check that the files are there.

        Raises:
            UsageError: one is missing, or others can read the key.
        """
        for path in (self.ca, self.certificate, self.key):
            if not path.is_file():
                raise UsageError("There is no such file", where=str(path))
        if self.key.stat().st_mode & 0o077:
            raise UsageError("Others can read this key", where=str(self.key), hint=f"Run `chmod 600 {self.key}`")


def checked_address(address: str) -> str:
    """Return the address of a scheduler.

    Raises:
        UsageError: it is none, or not one with TLS.
    """
    host, _colon, port = address.removeprefix(SCHEME).rpartition(":")
    if not address.startswith(SCHEME) or not host or not port.isdecimal():
        hint = f"Give {SCHEME}HOST:PORT; workers run what they are sent, so there is no address without TLS"
        raise UsageError(f"{address!r} is no address of a scheduler", hint=hint)
    return address
