"""Empties the data directory for an agent that runs one job: the next one finds nothing of it.

Jobs run under the agent's account, so they can also put things in the place of the agent's own files.
"""

from __future__ import annotations

import os
import stat

from kraken_agent.config import AGENT_DIR, ConfigError
from kraken_agent.spool import is_report_file
from kraken_agent.state_files import StateError, read_object
from kraken_agent.tree import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List

HOME = "home"
# What tells that the directory is the agent's to empty.
_MARK = "one-job"
_SPOOL = "spool"
# What the agent needs to go on as the same one: files that say something by being there, and JSON objects.
_MARKS = (_MARK, "images.json.lock", "in-container")
_OBJECTS = ("images.json", "installation.json", "update.json")
_OWN = (*_MARKS, *_OBJECTS, _SPOOL, HOME, "jobs", "tools")


def empty(data_dir: str, warn: Callable[[str], None]) -> None:
    """Remove all that jobs have left, and make a new home for the next one.

    Reports that the server does not have yet stay.

    Args:
        data_dir: the agent's.
        warn: takes a text about each thing that cannot be removed or made.

    Raises:
        ConfigError: there are things in it that may be somebody else's.
    """
    names = os.listdir(data_dir)
    if _MARK not in names:
        _refuse_others(data_dir, names)
    for name in names:
        path = os.path.join(data_dir, name)
        if name == _SPOOL and stat.S_ISDIR(os.lstat(path).st_mode):
            _empty_spool(path, warn)
        elif not _is_needed(name, path):
            _remove(path, warn)
    try:
        os.close(os.open(os.path.join(data_dir, _MARK), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        os.makedirs(os.path.join(data_dir, HOME), mode=0o700, exist_ok=True)
    except OSError as error:
        warn(f"{error.filename} cannot be made for the next job: {error.strerror}")


def _refuse_others(data_dir: str, names: List[str]) -> None:
    """Refuse a directory that the agent has not emptied before and that may be somebody's, named by mistake.

    A directory that a deploy has made has in it what jobs of the agent's account have left, their caches for example,
    while the agent kept them.
    """
    others = [name for name in names if name.partition(".unusable")[0] not in _OWN]
    if _is_of_deploy(data_dir):
        others = [name for name in others if os.lstat(os.path.join(data_dir, name)).st_uid != os.geteuid()]
    if others:
        raise ConfigError(
            f"KRAKEN_AGENT_ONE_JOB empties the data directory {data_dir}, and {min(others)} in it is not the "
            "agent's. Remove it, or name a directory for the agent alone with KRAKEN_DATA_DIR"
        )


def _is_of_deploy(data_dir: str) -> bool:
    """Return whether it is where deploys and images put it. What tells it is not in the reach of jobs."""
    above, name = os.path.split(data_dir)
    return name == "data" and (above == AGENT_DIR or os.path.isfile(os.path.join(above, "kraken.env")))


def _is_needed(name: str, path: str) -> bool:
    """Return whether something is the agent's own, and not a job's that has its name."""
    if name in _MARKS:
        state = os.lstat(path)
        return stat.S_ISREG(state.st_mode) and state.st_size == 0
    try:
        return name in _OBJECTS and read_object(path) is not None
    except StateError:
        return False


def _empty_spool(directory: str, warn: Callable[[str], None]) -> None:
    try:
        # A job may have closed it.
        os.chmod(directory, 0o700)
        paths = [os.path.join(directory, name) for name in os.listdir(directory)]
    except OSError:
        paths = [directory]
    for path in paths:
        if not is_report_file(path):
            _remove(path, warn)


def _remove(path: str, warn: Callable[[str], None]) -> None:
    remove_tree(path)
    if os.path.lexists(path):
        warn(f"{path}: an earlier job has left it, and it cannot be removed; remove it as root")
