"""kkagent and kktool as single files that any Python >= 3.8 runs: made from the agent's source, and checked."""

from kraken_fleet.bundle.builder import Bundle, build, inspect
from kraken_fleet.bundle.user_data import OUR_AGENT, UserData

__all__ = ["OUR_AGENT", "Bundle", "UserData", "build", "inspect"]
