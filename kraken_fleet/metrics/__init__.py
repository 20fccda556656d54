"""Numbers about any Kraken server, for Prometheus: what was read through its API, as text that Prometheus reads."""

from kraken_fleet.metrics.text import CONTENT_TYPE, failed_text, text

__all__ = ["CONTENT_TYPE", "failed_text", "text"]
