"""A release of the agent: its files, and how their content is had and checked."""

from __future__ import annotations

import hashlib
from typing import NamedTuple, Optional, Sequence

from . import signatures
from .changes import HostError

_TIMEOUT = 60.0


class Binary(NamedTuple):
    """One file of a release: `sha256` is what its content must have. The content came along, or is at `url`.

    Args:
        allowed_signers: the text of a file of ssh-keygen's; what is downloaded has to be signed by one of them.
    """

    name: str
    sha256: str
    content: Optional[bytes] = None
    url: str = ""
    allowed_signers: str = ""


class Release(NamedTuple):
    """What belongs together under one version.

    Args:
        self_checking: whether kkagent checks itself, by its command `check-integrity`, before it is put in place.
    """

    version: str
    binaries: Sequence[Binary]
    self_checking: bool = False

    @property
    def name(self) -> str:
        """The version with a checksum over all files: two builds that call themselves the same differ here."""
        together = "".join(sorted(f"{binary.name} {binary.sha256}\n" for binary in self.binaries))
        return f"{self.version}-{hashlib.sha256(together.encode()).hexdigest()[:8]}"


def content_of(binary: Binary) -> bytes:
    """Return the content of a file, downloaded unless it came along.

    Raises:
        HostError: it cannot be had, is damaged, or is not signed by one who may.
    """
    if binary.content is not None:
        check(binary, binary.content)
        return binary.content
    content = download(binary.url)
    check(binary, content)
    if binary.allowed_signers:
        _check_signature(binary, content)
    return content


def check(binary: Binary, content: bytes) -> None:
    """Refuse a file whose content is not what its checksum says."""
    found = hashlib.sha256(content).hexdigest()
    if found != binary.sha256.lower():
        raise HostError(
            f"{binary.name} is damaged: its sha256 is {found}, expected {binary.sha256}. The version that is installed "
            "stays. Build the bundle again, or correct kraken_agent_bundle_sha256"
        )


def _check_signature(binary: Binary, content: bytes) -> None:
    url = binary.url + signatures.SUFFIX
    try:
        signature = download(url)
    except HostError as error:
        raise HostError(f"{binary.url} is not signed, nothing was installed. {error}. {signatures.ADVICE}") from error
    signatures.check(content, signature, binary.allowed_signers, url)


def download(url: str) -> bytes:
    """Download a URL, through the proxies that the environment of this process names.

    Raises:
        HostError: it cannot be had.
    """
    import urllib.request  # Imported here, as most hosts have nothing to download.

    try:
        # urlopen would keep the proxies that the environment had at its first call.
        with urllib.request.build_opener().open(url, timeout=_TIMEOUT) as answer:
            return bytes(answer.read())
    except (OSError, ValueError) as error:
        raise HostError(f"{url} cannot be downloaded: {getattr(error, 'reason', error)}") from error
