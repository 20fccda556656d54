"""Where a Kraken server's API is, from whatever people write down as its address."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from kraken_fleet.errors import UsageError

# A server answers under /api and /bk/api alike; Kraken's own web front end passes on only what begins with /bk.
_DEFAULT_API = "/bk/api"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A Kraken server.

    Args:
        root: its URL without any of Kraken's own paths: what an agent on a host is given.
        api: the URL that API paths are appended to.
    """

    root: str
    api: str

    @property
    def host(self) -> str:
        return urlsplit(self.root).hostname or ""

    @property
    def is_loopback(self) -> bool:
        """True for this machine itself, which no HTTP proxy can reach."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @classmethod
    def parse(cls, text: str) -> ServerAddress:
        """Reads `host:port`, `http://host:port`, each with or without `/`, `/api`, `/bk`, `/bk/api`.

        What comes before those paths is kept: it is a reverse proxy's prefix. A path to the API that is written out is
        used as it is.

        Raises:
            UsageError: not such an address, or one with a password in it.
        """
        text = text.strip()
        parts = _split(text if "://" in text else f"http://{text}")
        path = parts.path.rstrip("/")
        api_path = _DEFAULT_API
        for suffix in ("/bk/api", "/api", "/bk"):
            if path.endswith(suffix):
                path = path.removesuffix(suffix)
                api_path = suffix if suffix != "/bk" else _DEFAULT_API
                break
        root = f"{parts.scheme}://{parts.netloc}{path}"
        return cls(root=root, api=root + api_path)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_ok = SplitResult("", "", "", "", ""), False
    if "@" in parts.netloc:
        raise UsageError(
            "The server's address has a user or password in it",
            hint="Leave it out and give them through a file or the environment",
        )
    if not port_ok or parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(
            f"{url!r} is not the address of a Kraken server", hint="Write it like http://kraken.example.com:6363"
        )
    return parts
