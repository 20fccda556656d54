"""Running a host's own programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Optional, Sequence

from .changes import HostError

# Package and user tools live in sbin, which a non-login shell over SSH may not have on its path.
_PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(name: str) -> Optional[str]:
    """Where a program is, None when the host does not have it."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":" + _PATHS)


def run(command: Sequence[str], *, timeout: float = 60.0, check: bool = True) -> str:
    """Runs a program to its end and returns what it wrote.

    Args:
        command: a list; its first part is found on the path.
        timeout: seconds.
        check: whether an exit code other than 0 is an error.

    Raises:
        HostError: it is missing, took too long or, with `check`, failed; its own words are in the text.
    """
    program = find(command[0])
    if program is None:
        raise HostError(f"the host has no {command[0]}; install the package that has it")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
            errors="replace",
            timeout=timeout,
            check=False,
            env=dict(os.environ, LC_ALL="C"),
        )
    except subprocess.TimeoutExpired as error:
        raise HostError(f"`{' '.join(command)}` did not end within {timeout:g} s") from error
    if check and done.returncode:
        raise HostError(f"`{' '.join(command)}` failed ({done.returncode}): {done.stdout.strip()[-2000:]}")
    return done.stdout
