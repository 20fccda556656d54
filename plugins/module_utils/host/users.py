"""The account that agents run as, its groups, and the one sudoers file."""

from __future__ import annotations

import grp
import os
import pwd
from typing import Iterator, List, Optional, Sequence, Set

from . import opening
from .changes import ABSENT, Change, HostError
from .commands import find, run
from .files import Attributes, absent, read_text, text_file

SUDOERS_DIRECTORY = "/etc/sudoers.d"
_SUDOERS_HEADER = "# Written by kraken-fleet, because kraken_agent_sudo is true.\n"
_COMMENT = "Kraken CI agent"


def current_user() -> str:
    """Return the name of the account that this process runs as."""
    return pwd.getpwuid(os.geteuid()).pw_name


def primary_group(user: str, fallback: str) -> str:
    """Return the name of the group that a user's files get; `fallback` while there is no such user."""
    found = _user(user)
    return fallback if found is None else grp.getgrgid(found.pw_gid).gr_name


def number(user: str) -> Optional[int]:
    """Return the number of an account; None while there is none."""
    found = _user(user)
    return None if found is None else found.pw_uid


def groups_of(user: str) -> Set[str]:
    """Return the groups that a user is in besides the one of its files."""
    return {group.gr_name for group in grp.getgrall() if user in group.gr_mem}


def account(user: str, home: str, extra_groups: Sequence[str]) -> Iterator[Change]:
    """Make a system account without a password or a login shell, and put it into its groups.

    An account that is there already keeps its home, shell and other groups.

    Raises:
        HostError: a group is missing on the host.
    """
    for name in extra_groups:
        if _group(name) is None:
            raise HostError(
                f"The host has no group {name!r} for user {user}; install what brings it (docker, lxd), or take it "
                "out of kraken_agent_extra_groups"
            )
    if _user(user) is None:
        yield _creation(user, home, extra_groups)
        return
    missing = [name for name in extra_groups if not _is_member(user, name)]
    if missing:
        yield Change(
            f"add user {user} to {', '.join(missing)}",
            lambda: _run("usermod", "--append", "--groups", ",".join(missing), user),
            after="".join(f"{name}\n" for name in missing),
            before_header=f"groups of {user}",
            restarts=True,
        )


def no_account(user: str, homes: Sequence[str]) -> Iterator[Change]:
    """Remove the account, if it was made for agents: its home is in one of their directories."""
    found = _user(user)
    if found is None or found.pw_uid == 0 or os.path.normpath(found.pw_dir) not in homes:
        return

    def remove() -> None:
        _run("userdel", user)
        # userdel takes the group along only where USERGROUPS_ENAB says so.
        group = _group(user)
        if group is not None and not group.gr_mem:
            _run("groupdel", user)

    yield Change(f"remove user {user}", remove, before=f"{user}\n", before_header="user", after_header=ABSENT)


def sudoers(user: str, wanted: bool) -> Iterator[Change]:
    """Write a sudoers file for the user, checked by visudo before it is in its place; or remove it.

    Raises:
        HostError: the host has no sudo.
    """
    # sudo reads no file there whose name has a dot (sudoers(5)).
    path = os.path.join(SUDOERS_DIRECTORY, f"kraken-agent-{user}".replace(".", "_"))
    if not wanted:
        if (read_text(path) or "").startswith(_SUDOERS_HEADER):
            yield from absent(path)
        return
    if find("visudo") is None:
        raise HostError("kraken_agent_sudo is true but the host has no sudo; install the package sudo")
    content = f"{_SUDOERS_HEADER}{user} ALL=(ALL:ALL) NOPASSWD: ALL\n"
    # One file with an error in it makes many versions of sudo refuse everybody on the host.
    yield from text_file(path, content, Attributes(0o440, "root", "root"), validate=_visudo)


def with_sudo() -> Set[str]:
    """Name the accounts that have a sudoers file of ours."""
    texts = [read_text(os.path.join(SUDOERS_DIRECTORY, name)) or "" for name in opening.names(SUDOERS_DIRECTORY)]
    return {text[len(_SUDOERS_HEADER) :].partition(" ")[0] for text in texts if text.startswith(_SUDOERS_HEADER)}


def _visudo(path: str) -> None:
    run(["visudo", "-c", "-f", path])


def _creation(user: str, home: str, extra_groups: Sequence[str]) -> Change:
    command = ["--system", "--home-dir", home, "--no-create-home", "--shell", _no_login(), "--comment", _COMMENT]
    # A group of that name may be left from before; useradd refuses to make it twice.
    command += ["--gid", user] if _group(user) is not None else ["--user-group"]
    if extra_groups:
        command += ["--groups", ",".join(extra_groups)]
    lines = [f"{user} home {home}\n", *(f"group {name}\n" for name in extra_groups)]
    return Change(
        f"add user {user}",
        lambda: _run("useradd", *command, user),
        after="".join(lines),
        before_header=ABSENT,
        after_header="user",
    )


def _no_login() -> str:
    return find("nologin") or "/bin/false"


def _run(*command: str) -> None:
    run(list(command))


def _is_member(user: str, name: str) -> bool:
    found, group = _user(user), _group(name)
    if found is None or group is None:
        return False
    members: List[str] = list(group.gr_mem)
    return user in members or found.pw_gid == group.gr_gid


def _user(name: str) -> "Optional[pwd.struct_passwd]":
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _group(name: str) -> "Optional[grp.struct_group]":
    try:
        return grp.getgrnam(name)
    except KeyError:
        return None
