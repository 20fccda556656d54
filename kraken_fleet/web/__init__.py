"""The console: server-rendered pages over any Kraken server, through `kraken_fleet.api`.

Every action works without JavaScript; one small script adds live updates and selection.
"""

from kraken_fleet.web.app import create_console
from kraken_fleet.web.settings import ConsoleSettings
from kraken_fleet.web.several import create_consoles
from kraken_fleet.web.sign_on import ProxySignOn

__all__ = ["ConsoleSettings", "ProxySignOn", "create_console", "create_consoles"]
