"""Removes what earlier jobs left on the disk: their directories, tools that were fetched, images that were pulled.

It runs in a child. What it prints is what cannot be removed, for the agent to warn of.
"""

from __future__ import annotations

import os
import time

from kraken_agent import images
from kraken_agent.resources import disk_space
from kraken_agent.tree import remove_tree, size_of_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable, Iterator, List

    from kraken_agent.executors.base import Send
    from kraken_agent.keeping import Keeping

_DAY = 86400.0


def is_due(data_dir: str, keeping: Keeping) -> bool:
    """Return whether there may be something to remove; a look at two directories is cheaper than a child."""
    return bool(_old_jobs(_jobs_of(data_dir), keeping)) or bool(_old_images(data_dir, keeping))


def tidy(data_dir: str, keeping: Keeping, wanted: int, send: Send) -> int:
    """Remove what is too much or too old; then, while less is free than wanted, what the next job can do without.

    Args:
        data_dir: the agent's.
        keeping: how much stays.
        wanted: bytes that should be free.
        send: told what was removed for want of room.
    """
    prune(_jobs_of(data_dir), keeping)
    record = images.Record(data_dir)
    record.remove(_old_images(data_dir, keeping))
    for name, remove in _dispensable(data_dir, record):
        space = disk_space(data_dir)
        if space is None or space.free >= wanted:
            break
        if remove():
            send({"removed": f"{name} was removed: less than {wanted // 1024**2} MiB of the disk are free"})
    return 0


def prune(jobs: str, keeping: Keeping) -> None:
    """Remove the directories of jobs that are too many, or too old; print what cannot be removed.

    Args:
        jobs: the directory that they are in.
        keeping: how much stays.
    """
    for entry in _old_jobs(jobs, keeping):
        _remove_directory(entry)


def _jobs_of(data_dir: str) -> str:
    return os.path.join(data_dir, "jobs")


def _old_jobs(directory: str, keeping: Keeping) -> List[os.DirEntry[str]]:
    """Return the directories of jobs that are too many, or too old."""
    jobs = _by_age(directory)
    oldest = time.time() - keeping.jobs_days * _DAY
    old = [entry for entry in jobs[: keeping.jobs] if keeping.jobs_days and _changed(entry) < oldest]
    return [*jobs[keeping.jobs :], *old]


def _old_images(data_dir: str, keeping: Keeping) -> List[images.Image]:
    return images.Record(data_dir).beyond(keeping.images, keeping.images_days * _DAY, time.time())


def _dispensable(data_dir: str, record: images.Record) -> Iterator[tuple[str, Callable[[], bool]]]:
    """Yield what can go, the least useful first: the directory of the latest job is looked at most, and goes last."""
    jobs = _by_age(_jobs_of(data_dir))
    for entry in reversed(jobs[1:]):
        yield entry.path, lambda: _remove_directory(entry)  # noqa: B023 - called before the next one
    tools = os.path.join(data_dir, "tools")
    if os.path.isdir(tools) and os.listdir(tools):
        # They are fetched and unpacked again.
        yield tools, lambda: _remove(tools)
    for image in record.beyond(0, 0.0, time.time()):
        yield f"image {image.name}", lambda: record.remove([image])  # noqa: B023
    for entry in jobs[:1]:
        yield entry.path, lambda: _remove_directory(entry)  # noqa: B023


def _by_age(directory: str) -> List[os.DirEntry[str]]:
    """Return the directories in a directory, the latest first."""
    try:
        found: Iterable[os.DirEntry[str]] = os.scandir(directory)
    except OSError:
        return []
    directories = [entry for entry in found if entry.is_dir(follow_symlinks=False)]
    return sorted(directories, key=_changed, reverse=True)


def _changed(entry: os.DirEntry[str]) -> float:
    # A job can set any other time of its directory, for example to one far away.
    return entry.stat(follow_symlinks=False).st_ctime


def _remove_directory(entry: os.DirEntry[str]) -> bool:
    if _remove(entry.path):
        return True
    print(  # noqa: T201 - the output of this child is what the agent warns of
        f"{entry.path}: this directory of an earlier job cannot be removed, {size_of_tree(entry.path)} kB stay: "
        "files in it belong to another user; remove it as root",
        flush=True,
    )
    return False


def _remove(path: str) -> bool:
    remove_tree(path)
    return not os.path.lexists(path)
