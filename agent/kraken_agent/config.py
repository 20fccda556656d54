"""The agent's settings: command line first, then environment, which the service manager fills from kraken.env."""

from __future__ import annotations

import errno
import os

from kraken_agent.keeping import Keeping, keeping_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Mapping, Optional

    from kraken_agent.protocol import ServerUrl
    from kraken_agent.proxy import Proxy

AGENT_DIR = "/opt/kraken"
DEFAULT_DRAIN_SECONDS = 300.0
# What no waiting mends, unlike a full disk.
_NEVER_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)

# option of the command line -> variable; the names are upstream's
VARIABLES = {
    "server": "KRAKEN_SERVER_ADDR",
    "data_dir": "KRAKEN_DATA_DIR",
    "tools_dirs": "KRAKEN_TOOLS_DIRS",
    "clickhouse_addr": "KRAKEN_CLICKHOUSE_ADDR",
    "system_id": "KRAKEN_SYSTEM_ID",
}


class ConfigError(Exception):
    """A setting is missing or makes no sense; the text says which."""


class Config:
    """All settings.

    Args:
        options: what the command line says, by the names of VARIABLES, `no_update` and `one_job` among them.
        environment: variables; those of kraken.env have been put into it.

    Raises:
        ConfigError: see there.
    """

    def __init__(self, options: Mapping[str, str], environment: Mapping[str, str]) -> None:
        values = {name: options.get(name) or environment.get(variable, "") for name, variable in VARIABLES.items()}
        self.server = values["server"]
        if not self.server:
            raise ConfigError("no server is named: use --server or KRAKEN_SERVER_ADDR")
        self.data_dir = os.path.abspath(values["data_dir"] or os.path.join(AGENT_DIR, "data"))
        self.tools_dirs: List[str] = [path for path in values["tools_dirs"].replace(",", ":").split(":") if path]
        self.log_address = values["clickhouse_addr"]
        self.system_id = values["system_id"]
        self.is_fresh = environment.get("KRAKEN_AGENT_ONE_JOB") == "yes"
        self.one_job = self.is_fresh or bool(options.get("one_job"))
        mode = environment.get("KRAKEN_AGENT_UPDATE") or "managed"
        if mode not in ("managed", "server"):
            raise ConfigError(f"KRAKEN_AGENT_UPDATE is {mode!r}; it can be managed or server")
        self.follows_server = mode == "server" and not options.get("no_update")
        self.update_digests = environment.get("KRAKEN_AGENT_UPDATE_SHA256", "").lower().replace(",", " ").split()
        self.takes_older = environment.get("KRAKEN_AGENT_UPDATE_OLDER") == "yes"
        self.drain_seconds = _seconds(environment, "KRAKEN_AGENT_DRAIN_SECONDS", DEFAULT_DRAIN_SECONDS)
        self.keeping = _keeping(environment)
        self.nonce_file = environment.get("KRAKEN_AGENT_NONCE_FILE", "")
        self._address = environment.get("KRAKEN_AGENT_ADDRESS", "")
        self._slot = environment.get("KRAKEN_AGENT_SLOT")
        self._builtin = environment.get("KRAKEN_AGENT_BUILTIN")
        self._proxies = {name: value for name, value in environment.items() if name.lower().endswith("_proxy")}

    def claimed_address(self) -> str:
        """Return who the agent says it is; empty when that is for its way to the server to decide.

        A slot is what an agent in Docker Swarm has, and builtin is the one that comes with the server.
        """
        if self._slot is not None:
            return f"agent.{self._slot}"
        if self._builtin is not None:
            return "agent"
        return self._address

    def source_address(self) -> str:
        """Return the IP address that connections come from: the claimed one when it is this host's, else empty."""
        if not self._address:
            return ""
        import socket

        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                # Only an address of this host can be bound.
                probe.bind((self._address, 0))
        except OSError:
            return ""
        return self._address

    def proxy(self, server: ServerUrl) -> Optional[Proxy]:
        """Return the proxy that leads to the server; None when there is none.

        Raises:
            ValueError: the variables for it make no sense.
        """
        if not self._proxies:
            return None
        from kraken_agent.proxy import proxy_for

        return proxy_for(server, self._proxies)


def _keeping(environment: Mapping[str, str]) -> Keeping:
    try:
        return keeping_of(environment)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "")
    try:
        seconds = float(text or default)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise ConfigError(f"{name} is {text!r}, which is not a number of seconds")
    return seconds


def check_data_dir(directory: str, warn: Callable[[str], None]) -> None:
    """Make the data directory usable.

    Args:
        directory: its path.
        warn: told when it cannot be written at the moment, for example on a full disk.

    Raises:
        ConfigError: the agent will never be able to write there.
    """
    probe = os.path.join(directory, f".writable-{os.getpid()}")
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            # A job may have closed it: it runs under the same account.
            os.chmod(directory, 0o700)
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        os.unlink(probe)
    except OSError as error:
        if error.errno in _NEVER_WRITABLE:
            raise ConfigError(
                f"the data directory {directory} cannot be written: {error.strerror}. Name one that the "
                "agent's account owns, with --data-dir or KRAKEN_DATA_DIR; in an inventory kraken_agent_dir sets it"
            ) from error
        warn(f"the data directory {directory} cannot be written at the moment: {error.strerror}")
