"""The embedded server: Kraken-compatible, one process, one SQLite file, loopback unless told otherwise."""

from kraken_fleet.server.app import create_app
from kraken_fleet.server.run import Ready, serve
from kraken_fleet.server.settings import ServerSettings

__all__ = ["Ready", "ServerSettings", "create_app", "serve"]
