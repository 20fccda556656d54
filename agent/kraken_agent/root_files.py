"""Files that root makes where another account could have put links before: none is followed, nothing else is opened."""

from __future__ import annotations

import os
import secrets
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

_MOST = 64 * 1024 * 1024
# O_NONBLOCK: to open a pipe that nobody writes into would take for ever.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def directory(path: str, mode: int, uid: int, gid: int) -> bool:
    """Return a directory with this owner and mode; return whether it was made.

    Raises:
        OSError: something else is there, a link to a directory for example.
    """
    is_new = not os.path.lexists(path)
    if is_new:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        os.mkdir(path, 0o700)
    opened = os.open(path, _READ | os.O_DIRECTORY)
    try:
        os.fchown(opened, uid, gid)
        os.fchmod(opened, mode)
    finally:
        os.close(opened)
    return is_new


def read(path: str) -> Optional[bytes]:
    """Return a file's content; None when there is none, or something that is no plain file with a single name."""
    try:
        opened = os.open(path, _READ)
    except OSError:
        return None
    found = os.fstat(opened)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_size > _MOST:
        os.close(opened)
        return None
    with open(opened, "rb") as file:
        return file.read(_MOST)


def has(path: str, mode: int, uid: int, gid: int) -> bool:
    """Return whether what is there itself has this owner and mode."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (uid, gid, mode)


def write(path: str, content: bytes, mode: int, uid: int, gid: int) -> None:
    """Write a file whole; it takes the place of whatever has its name."""
    fresh = f"{path}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    opened = os.open(fresh, flags, 0o600)
    try:
        with open(opened, "wb") as file:
            file.write(content)
            file.flush()
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise
