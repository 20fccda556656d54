"""A Kraken server's address, read from whatever people write down: the one place that reads it.

It imports little, since every host of a play has a process of its own on the controller, which reads an address.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from kraken_fleet.errors import UsageError

# A server answers under /api and /bk/api alike; Kraken's own web front end passes on only what begins with /bk.
_DEFAULT_API = "/bk/api"
_OWN_PATHS = ("/bk/api", "/api", "/bk")  # the longest first


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A Kraken server.

    Args:
        root: its URL without any of Kraken's own paths.
        api: the URL that API paths are appended to.
        agents: what an agent on a host is given. It has a scheme, without which Kraken's own agent does not start. The
            agents join `backend` to it as RFC 3986 says, which replaces what comes after the last `/`: so a prefix
            ends with `/`.
    """

    root: str
    api: str
    agents: str

    @property
    def install(self) -> str:
        """The URL below which the server has what hosts install from (kraken/server/install.py, 1.7.36)."""
        return f"{self.root}/bk/install"

    @property
    def install_script(self) -> str:
        """The URL of the server's script for Linux hosts."""
        return f"{self.install}/kraken-agent-install.sh"

    @property
    def host(self) -> str:
        return urlsplit(self.root).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.root)
        return parts.port or (443 if parts.scheme == "https" else 80)

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
        """Read `host:port` or `http://host:port`, each with or without `/`, `/api`, `/bk`, `/bk/api`.

        What comes before those paths is kept: it is a reverse proxy's prefix. `/api` and `/bk` that are written out are
        used: they may be all that a web front end passes on.

        Raises:
            UsageError: not such an address, or one with a password in it.
        """
        text = text.strip()
        parts = _split(text if "://" in text else f"http://{text}")
        path = parts.path.rstrip("/")
        suffix = next((one for one in _OWN_PATHS if path.endswith(one)), "")
        path = path.removesuffix(suffix)
        api_path = suffix if suffix.endswith("/api") else _DEFAULT_API
        root = f"{parts.scheme}://{parts.netloc}{path}"
        shortest = f"{root}/" if path else root
        agents = f"{root}/bk/" if suffix.startswith("/bk") else shortest
        return cls(root=root, api=root + api_path, agents=agents)


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
