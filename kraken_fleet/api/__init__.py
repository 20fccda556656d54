"""Talking to a Kraken server over HTTP: `KrakenClient` and what it is given and returns."""

from kraken_fleet.api.account import credentials_from, find_credentials, find_server, of_environment, of_files
from kraken_fleet.api.agents import SORT_FIELDS
from kraken_fleet.api.changes import Recorder
from kraken_fleet.api.client import KrakenClient
from kraken_fleet.api.credentials import Credentials, PasswordCredentials, TokenCredentials, read_secret
from kraken_fleet.api.deleted_groups import KnownGroups
from kraken_fleet.api.pacing import DELETE_BURST, DELETE_INTERVAL
from kraken_fleet.api.paging import Page
from kraken_fleet.api.session import MAX_CONNECTIONS

__all__ = [
    "DELETE_BURST",
    "DELETE_INTERVAL",
    "MAX_CONNECTIONS",
    "SORT_FIELDS",
    "Credentials",
    "KnownGroups",
    "KrakenClient",
    "Page",
    "PasswordCredentials",
    "Recorder",
    "TokenCredentials",
    "credentials_from",
    "find_credentials",
    "find_server",
    "of_environment",
    "of_files",
    "read_secret",
]
