"""kkagent and kktool as single files that any Python >= 3.8 runs: made from the agent's source, and checked."""

from kraken_fleet.bundle.builder import Bundle, build, inspect

__all__ = ["Bundle", "build", "inspect"]
