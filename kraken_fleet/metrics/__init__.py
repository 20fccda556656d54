"""Numbers about any Kraken server, for Prometheus: read through its API, and written as text that Prometheus reads."""

from kraken_fleet.metrics.reading import Reading, read
from kraken_fleet.metrics.text import CONTENT_TYPE, failed_text, text

__all__ = ["CONTENT_TYPE", "Reading", "failed_text", "read", "text"]
