"""HTTP that comes from an address of one's choice."""

from __future__ import annotations

from typing import Any

from requests.adapters import HTTPAdapter


class From(HTTPAdapter):
    """Connections from one address of this machine."""

    def __init__(self, source: str) -> None:
        self._source = source
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, source_address=(self._source, 0), **kwargs)
