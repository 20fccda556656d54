"""The one place that opens files and directories of a host, for root and everybody else.

The agent's account owns directories that root works in, and may put anything there while root works there: links,
pipes, second names of other files. So a path is walked directory by directory, each one held by its handle; no link is
followed unless root (or who runs this) has made it in a directory that nobody else can change; a file counts as one
only when it is a regular file with a single name; what is made is made anew.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from typing import Iterator, List, Optional, Tuple

from .changes import HostError

# Settings, secrets and unit files are far smaller. Who owns the file decides how big it is, and this is read whole.
MOST_TEXT = 1024 * 1024
MOST_BYTES = 256 * 1024 * 1024

# Handles to walk with: O_PATH opens nothing for reading, so a directory needs only the right to pass through.
_SEARCH = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: to open a pipe that nobody writes into would take for ever.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 16
_MOST_DEPTH = 200
_UNUSED_NAME = re.compile(r"\..+-[0-9a-f]{16}\Z", re.DOTALL)


@contextlib.contextmanager
def parent(path: str, *, make: bool = False) -> Iterator[Tuple[int, str]]:
    """Return the directory that a path is in, as a handle, and the path's last part.

    Args:
        make: whether directories that are missing are made, as the own ones of who runs this.

    Raises:
        FileNotFoundError: a directory is missing.
        HostError: the path goes through a link that somebody else could have made.
    """
    handle = _walk(os.path.dirname(path), make=make)
    try:
        yield handle, os.path.basename(path)
    finally:
        os.close(handle)


def status(path: str) -> Optional[os.stat_result]:
    """Return the status of what is at a path, not of what a link points at; None when there is nothing."""
    try:
        with parent(path) as (handle, name):
            return os.stat(name, dir_fd=handle, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_plain(found: Optional[os.stat_result]) -> bool:
    """Tell whether this is a regular file that has no second name elsewhere."""
    return found is not None and stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def is_directory(path: str) -> bool:
    """Tell whether a directory is at a path; a link to one is none."""
    found = status(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def read_bytes(path: str, most: int = MOST_TEXT) -> Optional[bytes]:
    """Return a file's content; None when there is no file, or none that is plain and has at most that many bytes."""
    try:
        with parent(path) as (handle, name):
            descriptor = os.open(name, _READ, dir_fd=handle)
        with open(descriptor, "rb") as file:
            if not is_plain(os.fstat(file.fileno())):
                return None
            content = file.read(most + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket
            return None
        raise
    return content if len(content) <= most else None


@contextlib.contextmanager
def changing(path: str) -> Iterator[int]:
    """Open a plain file or a directory so that its owner and mode can be changed.

    Raises:
        HostError: it is something else, such as a link.
    """
    with parent(path) as (handle, name):
        try:
            opened = os.open(name, _READ, dir_fd=handle)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise HostError(f"{path} is neither a file nor a directory; see who has put it there") from error
            raise
        try:
            found = os.fstat(opened)
            if not (is_plain(found) or stat.S_ISDIR(found.st_mode)):
                raise HostError(f"{path} is no file of its own; see who has put it there, and remove it")
            yield opened
        finally:
            os.close(opened)


def create(handle: int, name: str, mode: int = 0o600) -> int:
    """Make a new file in a directory and open it for writing; nothing that is there already is opened."""
    return os.open(name, _MAKE, mode, dir_fd=handle)


def append(path: str, mode: int) -> int:
    """Open a plain file for adding to its end; make it when there is none.

    Raises:
        HostError: something else is there.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with parent(path) as (handle, name):
        try:
            opened = os.open(name, flags, mode, dir_fd=handle)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise HostError(f"{path} is no file; see who has put it there, and remove it") from error
            raise
    if not is_plain(os.fstat(opened)):
        os.close(opened)
        raise HostError(f"{path} is no file of its own; see who has put it there, and remove it")
    return opened


def unused_name(name: str) -> str:
    """Return a name beside another one that nobody can know before."""
    return f".{name}-{os.urandom(8).hex()}"


def left_behind(path: str) -> List[str]:
    """Return what a directory has in it under names of `unused_name`.

    A run that was killed has left that: while one holds the lock of an agent, no other works in its directory.
    """
    return sorted(name for name in names(path) if _UNUSED_NAME.match(name))


def names(path: str) -> List[str]:
    """Return what a directory has in it; nothing when it is none."""
    try:
        with parent(path) as (handle, name):
            opened = os.open(name, _READ | os.O_DIRECTORY, dir_fd=handle)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if error.errno == errno.ELOOP:
            return []
        raise
    try:
        return os.listdir(opened)
    finally:
        os.close(opened)


def link_target(path: str) -> Optional[str]:
    """Say where a link points; None when it is none."""
    try:
        with parent(path) as (handle, name):
            return os.readlink(name, dir_fd=handle)
    except OSError:
        return None


def move(path: str, to: str) -> None:
    """Move something on the same file system; it replaces what is there, as rename(2) does."""
    with parent(path) as (old, old_name), parent(to) as (new, new_name):
        os.replace(old_name, new_name, src_dir_fd=old, dst_dir_fd=new)


def remove(path: str) -> None:
    """Remove a file, a link or a directory with all that is in it; it is no error when nothing is there.

    Raises:
        HostError: directories are nested so deeply that only a person should look at them.
    """
    try:
        with parent(path) as (handle, name):
            _remove(handle, name, path, 0)
    except FileNotFoundError:
        return


def _remove(handle: int, name: str, path: str, depth: int) -> None:
    try:
        inner = os.open(name, _READ | os.O_DIRECTORY, dir_fd=handle)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        os.unlink(name, dir_fd=handle)
        return
    if depth > _MOST_DEPTH:
        os.close(inner)
        raise HostError(f"{path} is nested more than {_MOST_DEPTH} directories deep; remove it by hand")
    try:
        for each in os.listdir(inner):
            with contextlib.suppress(FileNotFoundError):  # somebody else was faster
                _remove(inner, each, path, depth + 1)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=handle)


def _walk(directory: str, *, make: bool) -> int:
    handle = os.open("/", _SEARCH)
    left = _parts(directory)
    links = 0
    try:
        while left:
            name = left.pop(0)
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=handle)
            try:
                inner = os.open(name, _SEARCH, dir_fd=handle)
            except NotADirectoryError:
                links += 1
                target = _own_link(handle, name, directory, links)
                left = _parts(target) + left
                inner = os.open("/" if target.startswith("/") else ".", _SEARCH, dir_fd=handle)
            os.close(handle)
            handle = inner
    except BaseException:
        os.close(handle)
        raise
    return handle


def _parts(path: str) -> List[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _own_link(handle: int, name: str, path: str, links: int) -> str:
    """Say where a link on the way points, when only root or who runs this can have put it there."""
    mine = (0, os.geteuid())
    found, place = os.stat(name, dir_fd=handle, follow_symlinks=False), os.fstat(handle)
    if not stat.S_ISLNK(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    closed = place.st_uid in mine and (not place.st_mode & 0o022 or place.st_mode & stat.S_ISVTX)
    if found.st_uid not in mine or not closed or links > _MOST_LINKS:
        raise HostError(f"{path} goes through the link {name}, which another account could have made; see who did")
    return os.readlink(name, dir_fd=handle)
