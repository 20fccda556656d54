"""SELinux labels of what is put on a host, where the kernel has it: as the host's own policy says, by `restorecon`.

What is made inherits its directory's label, which is the right one for the places that a policy knows. Another rule for
a directory of the user's (`semanage fcontext`), or a label that went wrong since, is what this is for.
"""

from __future__ import annotations

import os
from typing import Iterator, List, Sequence

from .changes import Change
from .commands import find, run

# The file systems of the kernel's are not mounted where SELinux is off. /enforce is 1 or 0.
MOUNT = "/sys/fs/selinux"
_SECONDS = 120.0
_PROGRAM = "restorecon"


def is_enabled() -> bool:
    """Tell whether files have labels here and there is a program that knows which."""
    return os.path.exists(os.path.join(MOUNT, "enforce")) and find(_PROGRAM) is not None


def restore(path: str) -> None:
    """Give what was just made at that path, with everything in it, the label that the policy has for it.

    Raises:
        HostError: restorecon failed.
    """
    if is_enabled():
        run([_PROGRAM, "-R", path], timeout=_SECONDS)


def converge(paths: Sequence[str], data: Sequence[str]) -> Iterator[Change]:
    """Give what is there already the labels that the policy has for it.

    Args:
        paths: files, and directories with all that is in them.
        data: directories in those that are left alone: what jobs and their containers have labelled is theirs.

    Raises:
        HostError: restorecon failed.
    """
    there = [path for path in paths if os.path.lexists(path)]
    if not there or not is_enabled():
        return
    rest: List[str] = [word for path in data if os.path.isdir(path) for word in ("-e", path)]
    wrong = run([_PROGRAM, "-n", "-v", "-R", *rest, *there], timeout=_SECONDS)
    if wrong.strip():
        yield Change(
            "restore SELinux labels",
            lambda: _restore([*rest, *there]),
            before=wrong,
            before_header="SELinux labels",
        )


def advice() -> str:
    """Return what to look at when something may have been refused; empty where nothing is."""
    try:
        with open(os.path.join(MOUNT, "enforce"), encoding="ascii") as file:
            enforcing = file.read().strip() == "1"
    except OSError:
        return ""
    return "SELinux is enforcing on this host: `ausearch -m avc -ts recent` shows what it refused" if enforcing else ""


def _restore(arguments: Sequence[str]) -> None:
    run([_PROGRAM, "-R", *arguments], timeout=_SECONDS)
