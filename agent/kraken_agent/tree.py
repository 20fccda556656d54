"""Removes whole directories, whatever jobs have made of them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List


def remove_tree(path: str) -> None:
    """Remove a directory with the programs for it, which do not mind how deep it is and follow no links.

    Directories without leave to write, such as those of Go's module cache, are made writable first.
    """
    commands = [["rm", "-rf", "--", path], ["chmod", "-R", "--", "u+rwx", path], ["rm", "-rf", "--", path]]
    if os.geteuid() != 0:
        # Files of a step's `user`. Without sudo, which is the default, this ends at once.
        commands.append(["sudo", "-n", "rm", "-rf", "--", path])
    for command in commands:
        _run(command)
        if not os.path.lexists(path):
            return


def size_of_tree(path: str) -> str:
    """Return how many kB a directory takes, as far as this account can see."""
    return _run(["du", "-sk", "--", path]).split("\t")[0] or "some"


def _run(command: List[str]) -> str:
    """Run a program to its end; return what it wrote. This child of the agent imports nothing for it."""
    read_end, write_end = os.pipe()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, write_end, 1),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_CLOSE, read_end),
    ]
    with open(read_end, "rb") as output:
        try:
            pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
        except OSError:
            return ""
        finally:
            os.close(write_end)
        said = output.read()
    os.waitpid(pid, 0)
    return said.decode("utf-8", "replace")
