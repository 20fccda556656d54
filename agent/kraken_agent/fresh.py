"""Empties the data directory for an agent that runs one job: the next one finds nothing of it."""

from __future__ import annotations

import os

from kraken_agent.config import ConfigError
from kraken_agent.tree import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

HOME = "home"
# What tells that the directory is the agent's to empty.
_MARK = "one-job"
# What the agent needs to go on as the same one, and reports that the server does not have yet.
_KEPT = (_MARK, "images.json", "images.json.lock", "in-container", "installation.json", "spool", "update.json")
_OWN = (*_KEPT, HOME, "jobs", "tools")
_SPOOL = "spool"


def empty(data_dir: str, warn: Callable[[str], None]) -> None:
    """Remove all that jobs have left, and make a new home for the next one.

    A directory that the agent has not emptied before must have nothing in it but what agents keep there: it may be
    somebody's home that was named by mistake.

    Args:
        data_dir: the agent's.
        warn: takes a text about each thing that cannot be removed.

    Raises:
        ConfigError: there are other things in it.
    """
    names = os.listdir(data_dir)
    if _MARK not in names:
        others = sorted(name for name in names if name.partition(".unusable")[0] not in _OWN)
        if others:
            raise ConfigError(
                f"KRAKEN_AGENT_ONE_JOB empties the data directory {data_dir}, and {others[0]} in it is not the "
                "agent's. Remove it, or name a directory for the agent alone with KRAKEN_DATA_DIR"
            )
        os.close(os.open(os.path.join(data_dir, _MARK), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    paths = [os.path.join(data_dir, name) for name in names if name not in _KEPT]
    spool = os.path.join(data_dir, _SPOOL)
    if os.path.isdir(spool) and not os.path.islink(spool):
        paths += [os.path.join(spool, name) for name in os.listdir(spool) if not name.endswith(".json")]
    for path in paths:
        remove_tree(path)
        if os.path.lexists(path):
            warn(f"{path}: an earlier job has left it, and it cannot be removed; remove it as root")
    os.makedirs(os.path.join(data_dir, HOME), mode=0o700, exist_ok=True)
