"""Files and directories: content, owner and mode; written whole or not at all."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
from typing import Callable, Iterator, NamedTuple, Optional, Tuple

from . import opening, selinux
from .changes import ABSENT, Change, HostError

_OTHER = "(a link, or something else that is no file of its own)\n"


class Attributes(NamedTuple):
    """Mode bits, and the names of owner and group; None leaves what is there, as it must without root."""

    mode: int
    owner: Optional[str] = None
    group: Optional[str] = None

    def __str__(self) -> str:
        owners = f" {self.owner}:{self.group}" if self.owner else ""
        return f"{self.mode:04o}{owners}"


def directory(path: str, wanted: Attributes, *, deep: bool = False) -> Iterator[Change]:
    """Make a directory; its parents are made as root's own.

    Args:
        deep: whether what is in it gets another owner with it.

    Raises:
        HostError: a link, or something else that is no directory, is there.
    """
    found = opening.status(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        yield from _attributes(path, wanted, deep=deep)
        return
    if found is not None:
        if stat.S_ISLNK(found.st_mode):
            raise HostError(
                f"{path} is a link. Root does not work through links, because another account could point them "
                "elsewhere. Name the directory itself in kraken_agent_dir, or mount it there"
            )
        raise HostError(f"{path} is not a directory; move it away")

    def make() -> None:
        with opening.parent(path, make=True) as (handle, name):
            os.mkdir(name, 0o700, dir_fd=handle)
        set_attributes(path, wanted)
        selinux.restore(path)

    yield Change(f"make directory {path}", make, before_header=ABSENT, after_header=path, after=f"directory {wanted}\n")


def text_file(
    path: str,
    content: str,
    wanted: Attributes,
    *,
    mask: Callable[[str, str], "tuple[str, str]"] = lambda before, after: (before, after),
    validate: Optional[Callable[[str], None]] = None,
    then: Optional[Callable[[], None]] = None,
    restarts: bool = False,
) -> Iterator[Change]:
    """Write a file with this content.

    Args:
        mask: what a diff shows of the text before and after; hides secrets.
        validate: looks at the new file before it is in its place; raises HostError when it must not get there.
        then: is called when the content has changed.
        restarts: whether the agent reads it only at its start.
    """
    before = read_text(path)
    if before == content:
        yield from _attributes(path, wanted)
        return
    is_there = opening.status(path) is not None

    def write() -> None:
        write_file(path, content.encode("utf-8"), wanted, validate)
        if then:
            then()

    shown = mask(before or "", content)
    yield Change(
        f"write {path}",
        write,
        before=_OTHER if is_there and before is None else shown[0],
        after=shown[1],
        before_header=path if is_there else ABSENT,
        after_header=f"{path} {wanted}",
        restarts=restarts,
    )


def absent(path: str, what: str = "") -> Iterator[Change]:
    """Remove what is at a path; a directory goes with all that is in it."""
    if opening.status(path) is None:
        return
    yield Change(
        f"remove {what or path}",
        lambda: opening.remove(path),
        before=f"{path}\n",
        before_header=path,
        after_header=ABSENT,
    )


def read_text(path: str) -> Optional[str]:
    """Read a file's text; None when there is none, or when it is not a plain file of reasonable size."""
    content = opening.read_bytes(path)
    return None if content is None else content.decode("utf-8", "surrogateescape")


def write_file(path: str, content: bytes, wanted: Attributes, validate: Optional[Callable[[str], None]] = None) -> None:
    """Write a file so that a reader sees the old one or the new one, whole.

    The new file is made beside the old one: it is on the same file system, and SELinux labels it as its directory says.

    Raises:
        OSError: there is no room or no permission; nothing is left behind.
    """
    with opening.parent(path) as (handle, name):
        fresh = opening.unused_name(name)
        made = opening.create(handle, fresh)
        try:
            with os.fdopen(made, "wb") as file:
                file.write(content)
                file.flush()
                # Without it the new name may reach the disk before the content, and a power cut leaves an empty file.
                os.fsync(file.fileno())
                _set(file.fileno(), wanted)
            if validate:
                validate(os.path.join(os.path.dirname(path), fresh))
            os.replace(fresh, name, src_dir_fd=handle, dst_dir_fd=handle)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=handle)
            raise
    selinux.restore(path)


def point_link(path: str, target: str, wanted: Attributes) -> None:
    """Make a link that points there; it takes the place of an old one in one step, and has an owner of its own."""
    with opening.parent(path) as (handle, name):
        fresh = opening.unused_name(name)
        os.symlink(target, fresh, dir_fd=handle)
        try:
            owners = _numbers(wanted)
            if owners:
                os.chown(fresh, *owners, dir_fd=handle, follow_symlinks=False)
            os.replace(fresh, name, src_dir_fd=handle, dst_dir_fd=handle)
        except BaseException:
            os.unlink(fresh, dir_fd=handle)
            raise
    selinux.restore(path)


def set_attributes(path: str, wanted: Attributes) -> None:
    """Give a file or directory its owner and mode.

    Raises:
        HostError: a link is there, or a file that has another name elsewhere.
    """
    with opening.changing(path) as opened:
        _set(opened, wanted)


def attributes_of(path: str) -> Attributes:
    """Return owner and mode of a file or directory; a number where an owner has no name.

    Raises:
        FileNotFoundError: there is none.
    """
    with opening.parent(path) as (handle, name):
        found = os.stat(name, dir_fd=handle, follow_symlinks=False)
    return Attributes(stat.S_IMODE(found.st_mode), _user_name(found.st_uid), _group_name(found.st_gid))


def owned_as(path: str, wanted: Attributes) -> bool:
    """Tell whether a path has the wanted owner and group, where one is wanted."""
    return wanted.owner is None or (
        opening.status(path) is not None and attributes_of(path)[1:] == (wanted.owner, wanted.group)
    )


def give_tree(path: str, wanted: Attributes) -> None:
    """Give a directory with all that is in it to another owner.

    Links change hands themselves. A file with a second name is left as it is: the other one may be anybody's.

    Raises:
        HostError: directories in it are nested too deeply.
    """
    owners = _numbers(wanted)
    if owners is None:
        return
    try:
        with opening.parent(path) as (handle, name):
            for _path, directories, others, inside in os.fwalk(name, dir_fd=handle):
                for each in [*directories, *others]:
                    with contextlib.suppress(FileNotFoundError):  # its owner has removed it meanwhile
                        _give(inside, each, owners)
    except RecursionError:
        raise HostError(f"Directories in {path} are nested too deeply; remove them by hand") from None
    set_attributes(path, wanted)


def _give(inside: int, name: str, owners: Tuple[int, int]) -> None:
    held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=inside)
    try:
        found = os.fstat(held)
        if stat.S_ISDIR(found.st_mode) or found.st_nlink == 1:
            # The very thing that was looked at, whatever has the name by now.
            os.chown(f"/proc/self/fd/{held}", *owners)
    finally:
        os.close(held)


def _set(opened: int, wanted: Attributes) -> None:
    """Set owner and mode, the owner first: a change of owner clears bits of the mode."""
    owners = _numbers(wanted)
    if owners:
        os.fchown(opened, *owners)
    os.fchmod(opened, wanted.mode)


def _numbers(wanted: Attributes) -> Optional[Tuple[int, int]]:
    if wanted.owner is None or wanted.group is None:
        return None
    return pwd.getpwnam(wanted.owner).pw_uid, grp.getgrnam(wanted.group).gr_gid


def _attributes(path: str, wanted: Attributes, *, deep: bool = False) -> Iterator[Change]:
    now = attributes_of(path)
    if now.mode == wanted.mode and (wanted.owner is None or now[1:] == wanted[1:]):
        return
    shown = now if wanted.owner else Attributes(now.mode)
    # Whose work lies in it follows: an account that cannot write its own data can do nothing.
    give = give_tree if deep and wanted.owner and now[1:] != wanted[1:] else set_attributes
    yield Change(
        f"set owner and mode of {path}",
        lambda: give(path, wanted),
        before=f"{shown}\n",
        after=f"{wanted}\n",
        before_header=path,
    )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
