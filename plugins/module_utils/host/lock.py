"""One deploy at a time on a host: a lock that the system takes back when its holder ends, however that ends.

Standard library only, for Python 3.8.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import stat
import time
from typing import Any, Callable, Dict, Iterator

from .changes import HostError

_POLL = 0.2
_ENOUGH = 4096


@contextlib.contextmanager
def held(what: str, patience: float, sleep: Callable[[float], Any] = time.sleep) -> Iterator[None]:
    """Keep other deploys from an agent until the block ends.

    Args:
        what: the agent's directory, or what else nobody but this agent has, such as its container's name.
        patience: seconds to wait for another deploy.

    Raises:
        HostError: it goes on for longer; the message says whose it is and since when.
    """
    path, handle = _path(what), -1
    deadline = time.monotonic() + patience
    while handle < 0:
        handle = _take(path)
        if handle < 0:
            if time.monotonic() >= deadline:
                raise HostError(
                    f"Another deploy works on this host: {_holder(path)}. It has not ended in {patience:g} s; "
                    "run this one again after it"
                )
            sleep(_POLL)
    try:
        yield
    finally:
        # The file goes before the lock: whoever has opened it meanwhile sees that it is not the one at the path.
        with contextlib.suppress(OSError):
            os.unlink(path)
        os.close(handle)


def _path(what: str) -> str:
    """Return a file in a directory where only this account can make files, or where nobody can remove another's."""
    root = os.geteuid() == 0
    if root and os.access("/run", os.W_OK):
        folder = "/run"
    else:
        import tempfile

        folder = tempfile.gettempdir()
    name = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return os.path.join(folder, f"kraken-fleet-{os.geteuid()}-{name}.lock")


def _take(path: str) -> int:
    """Take the lock and return the handle that holds it; -1 when somebody else holds it.

    Raises:
        HostError: the file is not this account's own.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HostError(f"{path} cannot be used to keep other deploys away: {error.strerror}; remove it") from error
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
        os.close(handle)
        raise HostError(f"{path} belongs to somebody else, who keeps deploys away with it; remove it")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return -1
    if not _is_at(path, about):  # its holder has just removed it
        os.close(handle)
        return -1
    os.ftruncate(handle, 0)
    os.write(handle, json.dumps(_myself()).encode())
    return handle


def _is_at(path: str, about: os.stat_result) -> bool:
    try:
        there = os.lstat(path)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (about.st_dev, about.st_ino)


def _myself() -> Dict[str, Any]:
    user = os.environ.get("SUDO_USER") or ""
    if not user:
        with contextlib.suppress(KeyError):
            user = pwd.getpwuid(os.getuid()).pw_name
    return {"pid": os.getpid(), "user": user or str(os.getuid()), "since": int(time.time())}


def _holder(path: str) -> str:
    """Say who holds the lock and since when, as it has written itself."""
    try:
        with open(path, encoding="utf-8") as file:
            told = json.loads(file.read(_ENOUGH))
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(int(told["since"])))
        return f"process {int(told['pid'])} of {told['user']}, since {since}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it has not said who it is"
