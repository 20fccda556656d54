"""Writes a file whole or not at all: whoever reads it meanwhile finds what was there before, or all that is new."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

OWNER_ONLY = 0o600


def write(path: Path, content: bytes | str, mode: int = 0o666, *, any_umask: bool = False) -> None:
    """Replace a file, or make it, in a directory that has to be there.

    Args:
        path: the file.
        content: what it holds then; text is written as UTF-8.
        mode: who may do what with it, less what the umask takes away.
        any_umask: other accounts have to read it: give it the mode whatever the umask is.

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    # Beside it: a rename takes one step only within a file system. Two writers at once have a file each.
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    data = content.encode() if isinstance(content, str) else content
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            file.write(data)
            if any_umask:
                os.fchmod(file.fileno(), mode)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
