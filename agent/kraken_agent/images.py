"""A record of the images that this agent has pulled for jobs: those, and no others, it may remove again."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import NamedTuple

from kraken_agent.state_files import StateError, read_object, write_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List

    Rows = Dict[str, Any]

DOCKER = "docker"
LXD = "lxd"
_NAME = "images.json"
_REMOVAL_SECONDS = 60


class Image(NamedTuple):
    """One image that the agent has pulled.

    Attributes:
        engine: DOCKER or LXD.
        name: as the job named it.
        id: what the engine calls its content. Another content under this name is somebody else's image.
        used: when a job last had it, in seconds since 1970.
    """

    engine: str
    name: str
    id: str
    used: float


class Record:
    """The record of one data directory. Jobs may write there: what makes no sense in it is left out.

    Args:
        data_dir: the agent's.
    """

    def __init__(self, data_dir: str) -> None:
        self._path = os.path.join(data_dir, _NAME)

    def note(self, engine: str, name: str, identity: str, *, is_pulled: bool) -> None:
        """Note that a job has an image; one that was there before is only noted when the agent pulled it once."""
        with self._locked():
            found = {(image.engine, image.name): image for image in self._read()}
            known = found.pop((engine, name), None)
            if is_pulled or (known and known.id == identity):
                found[engine, name] = Image(engine, name, identity, time.time())
            if known or is_pulled:
                self._write(list(found.values()))

    def beyond(self, number: int, seconds: float, now: float) -> List[Image]:
        """Return the images that are too many, or not used for too long, those that were not used for longest first.

        Args:
            number: of those that may stay.
            seconds: how long one may stay unused; 0 for any time.
            now: the time, in seconds since 1970.
        """
        images = sorted(self._read(), key=lambda image: image.used, reverse=True)
        old = [image for image in images[:number] if seconds and image.used < now - seconds]
        return [*reversed(images[number:]), *reversed(old)]

    def remove(self, images: List[Image]) -> bool:
        """Have the engines remove images; return whether one is gone. One that a container needs stays, and is kept."""
        gone = [image for image in images if _is_removed(image)]
        if gone:
            with self._locked():
                self._write([image for image in self._read() if image not in gone])
        return bool(gone)

    def _read(self) -> List[Image]:
        try:
            rows = (read_object(self._path) or {}).get("images")
        except StateError:
            return []
        return [image for row in rows if (image := _image(row))] if isinstance(rows, list) else []

    def _write(self, images: List[Image]) -> None:
        try:
            write_object(self._path, {"images": [image._asdict() for image in images]})
        except OSError:
            # A full disk keeps no job from running; what is not in the record stays on the disk.
            return

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep a job that begins and the removal of old images apart."""
        import fcntl  # Windows has none, and no jobs in containers

        # A job, which may write there too, can have put a link or a pipe in its place.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            lock = os.open(f"{self._path}.lock", flags, 0o600)
        except OSError:
            yield
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _image(row: Any) -> Any:
    if not isinstance(row, dict) or row.get("engine") not in _REMOVALS:
        return None
    name, identity, used = row.get("name"), row.get("id"), row.get("used")
    if not isinstance(name, str) or not isinstance(identity, str) or not isinstance(used, (int, float)):
        return None
    return Image(row["engine"], name, identity, float(used))


def _is_removed(image: Image) -> bool:
    """Return whether it is gone; an engine that is down, or a container that needs it, keeps it for a later time."""
    from kraken_agent.executors.base import ExecutorError

    try:
        return _REMOVALS[image.engine](image)
    except (ExecutorError, OSError, KeyError, TypeError):
        return False


def _remove_from_docker(image: Image) -> bool:
    from kraken_agent.executors.docker.engine import EngineSocket

    engine = EngineSocket()
    found = engine.image(image.name)
    if found is not None and found["Id"] == image.id:
        engine.remove_image(image.name)
    return True


def _remove_from_lxd(image: Image) -> bool:
    from kraken_agent.executors.lxd.daemon import ask, finish

    # It becomes part of a path, and comes from a file that jobs can write.
    if not image.id.isalnum():
        return True
    known = [str(entry).rpartition("/")[2] for entry in ask("GET", "/1.0/images")]
    if image.id in known:
        finish(ask("DELETE", f"/1.0/images/{image.id}"), _REMOVAL_SECONDS)
    return True


_REMOVALS = {DOCKER: _remove_from_docker, LXD: _remove_from_lxd}
