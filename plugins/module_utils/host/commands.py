"""Running a host's own programs.

Python's `shutil`, `tempfile` and `secrets` are imported by nothing that every host runs: they would take a tenth of
the CPU of a host with nothing to do.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from typing import Callable, Dict, Optional, Sequence

from .changes import HostError

# Package and user tools live in sbin, which a non-login shell over SSH may not have on its path.
_PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(name: str, elsewhere: str = _PATHS) -> Optional[str]:
    """Find a program; None when the host does not have it.

    Args:
        elsewhere: where to look besides the path.
    """
    folders = f"{os.environ.get('PATH', '')}:{elsewhere}".split(":")
    places = [name] if "/" in name else [os.path.join(folder, name) for folder in folders if folder.startswith("/")]
    return next((place for place in places if os.path.isfile(place) and os.access(place, os.X_OK)), None)


def becoming(user: str) -> Optional[Callable[[], None]]:
    """Return what a new process has to do to be another account's, as subprocess' `preexec_fn`.

    None when it is already.

    Raises:
        HostError: there is no such account.
    """
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise HostError(f"The host has no user {user}") from None
    if os.geteuid() != 0 or entry.pw_uid == 0:
        return None

    def become() -> None:
        # In this order: after setuid the process may not change its groups any more.
        os.initgroups(user, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)

    return become


def run(command: Sequence[str], *, timeout: float = 60.0, check: bool = True, user: str = "") -> str:
    """Run a program to its end and return what it wrote.

    Args:
        command: a list; its first part is found on the path.
        timeout: seconds.
        check: whether an exit code other than 0 is an error.
        user: the account that it runs as, when root is to run nothing of it.

    Raises:
        HostError: it is missing, took too long or, with `check`, failed; its own words are in the text.
    """
    program = find(command[0])
    if program is None:
        raise HostError(f"The host has no {command[0]}; install the package that has it")
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
            # The other account may not enter the directory that root is in.
            cwd="/" if user else None,
            env=_environment(user),
            preexec_fn=becoming(user) if user else None,
        )
    except subprocess.TimeoutExpired as error:
        raise HostError(f"`{' '.join(command)}` did not end within {timeout:g} s") from error
    if check and done.returncode:
        raise HostError(f"`{' '.join(command)}` failed ({done.returncode}): {done.stdout.strip()[-2000:]}")
    return done.stdout


def _environment(user: str) -> Dict[str, str]:
    """Return another account's environment: nothing of this connection's, which may hold a proxy's password."""
    if not user:
        return dict(os.environ, LC_ALL="C")
    return {"PATH": _PATHS, "LC_ALL": "C", "HOME": "/", "USER": user, "LOGNAME": user}
