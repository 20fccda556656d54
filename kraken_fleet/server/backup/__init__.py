"""Backups of the embedded server: one archive with its database and its files, made while it runs."""

from kraken_fleet.server.backup.making import back_up
from kraken_fleet.server.backup.manifest import Manifest
from kraken_fleet.server.backup.restoring import Restored, restore

__all__ = ["Manifest", "Restored", "back_up", "restore"]
