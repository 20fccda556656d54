"""Files and directories that the agent keeps in its data directory.

Jobs run under the agent's account, so they can leave anything there: broken files, links, pipes, directories that
nobody may read. Whatever is found, the agent starts and works: what cannot be used is put aside under another name.
"""

from __future__ import annotations

import json
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

_MOST_BYTES = 32 * 1024 * 1024
_ID_BYTES = 16


class StateError(Exception):
    """A file of the agent's own cannot be used; the text says which and why."""


def read_object(path: str) -> Optional[Dict[str, Any]]:
    """Return the JSON object in a file; None when there is no such file.

    Raises:
        StateError: it is no plain file, too long, or holds something else.
    """
    try:
        # Without O_NONBLOCK a pipe in the file's place would be waited for without end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}") from error
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_size > _MOST_BYTES:
        os.close(descriptor)
        raise StateError(f"{path} is not a file of this agent")
    with open(descriptor, "rb") as file:
        try:
            found = json.loads(file.read())
        except (OSError, ValueError, RecursionError) as error:
            raise StateError(f"{path} holds no JSON: {error}") from error
    if not isinstance(found, dict):
        raise StateError(f"{path} holds no JSON object")
    return found


def write_object(path: str, content: Dict[str, Any]) -> None:
    """Write a JSON object; afterwards the whole file is on the disk, or the one from before.

    Raises:
        OSError: the disk does not take it.
    """
    fresh = f"{path}.new"
    _remove_file(fresh)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:
        file.write(json.dumps(content).encode())
    os.replace(fresh, path)


def put_aside(path: str, why: object, warn: Callable[[str], None]) -> None:
    """Give what cannot be used another name beside its own, and say so."""
    for number in range(1000):
        aside = f"{path}.unusable-{number}"
        if not os.path.lexists(aside):
            break
    try:
        os.rename(path, aside)
    except OSError as error:
        warn(f"{path} cannot be used ({why}) and cannot be renamed: {error.strerror}")
        return
    warn(f"{path} cannot be used ({why}); it was renamed to {aside}")


def own_directory(path: str, mode: int, warn: Callable[[str], None]) -> None:
    """Make a directory that the agent can use, whatever is in its place.

    Raises:
        OSError: that is not possible.
    """
    if os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path)):
        put_aside(path, "it is not a directory", warn)
    os.makedirs(path, mode=mode, exist_ok=True)
    os.chmod(path, mode)


def installation_id(data_dir: str, warn: Callable[[str], None]) -> str:
    """Return what tells this installation from all others; it is made up at the first call.

    An address does not: another agent may have had it, on this host or on another one that uses the same engine.
    """
    path = os.path.join(data_dir, "installation.json")
    try:
        found = (read_object(path) or {}).get("id")
        if isinstance(found, str) and len(found) == 2 * _ID_BYTES and found.isalnum():
            return found
    except StateError as error:
        put_aside(path, error, warn)
    made = os.urandom(_ID_BYTES).hex()
    try:
        write_object(path, {"id": made})
    except OSError as error:
        warn(f"{path} cannot be written: {error.strerror}; containers that this agent leaves behind are not removed")
    return made


def _remove_file(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError:
        # A directory in the file's place.
        os.rename(path, f"{path}.unusable-{os.urandom(4).hex()}")
