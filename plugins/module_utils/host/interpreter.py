"""Which Python runs the agent: one that its account can reach, 3.8 or newer."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Optional

from .changes import HostError
from .users import current_user

# What distributions call a Python beside their own `python3`, newest first. Names that no release has yet cost nothing.
VERSIONED = tuple(f"python3.{minor}" for minor in range(19, 7, -1))
# RHEL 8 has platform-python before anybody installs another.
PLATFORM_PYTHON = "/usr/libexec/platform-python"
_OTHERS = (
    "/usr/bin/python3",
    "/usr/local/bin/python3",
    *(f"/usr/bin/{name}" for name in VERSIONED),
    PLATFORM_PYTHON,
)


def choose(wanted: str, user: str) -> str:
    """Choose the interpreter for an agent.

    Args:
        wanted: kraken_agent_python; empty to take the one that runs this module, or else one of the system's.
        user: who is going to run it.

    Raises:
        HostError: the wanted one does not do, or there is none.
    """
    if wanted:
        reason = _unfit(wanted, user)
        if reason:
            raise HostError(f"kraken_agent_python {wanted} {reason}")
        return wanted
    for candidate in (sys.executable, *_OTHERS):
        if _unfit(candidate, user) is None:
            return candidate
    raise HostError(
        f"The host has no Python >= 3.8 that user {user} may run (Ansible's is {sys.executable}); install python3 or "
        "set kraken_agent_python"
    )


def _unfit(path: str, user: str) -> Optional[str]:
    if not os.path.isabs(path) or not os.access(path, os.X_OK):
        return "is not a program on this host; give its full path"
    if user not in (current_user(), "root") and not _open_to_all(path):
        return f"cannot be run by user {user}: a directory above it is closed to others"
    if path == sys.executable:
        return None  # Ansible has seen to its version
    code = "import sys; sys.exit(sys.version_info < (3, 8))"
    done = subprocess.run([path, "-c", code], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return None if done.returncode == 0 else "is older than Python 3.8"


def _open_to_all(path: str) -> bool:
    # A virtual environment's python is a link into another directory: both ways must be open.
    for start in (path, os.path.realpath(path)):
        while start != "/":
            if not os.stat(start).st_mode & 0o001:
                return False
            start = os.path.dirname(start)
    return True
