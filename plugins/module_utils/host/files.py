"""Files and directories: content, owner and mode; written whole or not at all."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import stat
import tempfile
from typing import Callable, Iterator, NamedTuple, Optional

from . import selinux
from .changes import ABSENT, Change, HostError


class Attributes(NamedTuple):
    """Mode bits, and the names of owner and group; None leaves what is there, as it must without root."""

    mode: int
    owner: Optional[str] = None
    group: Optional[str] = None

    def __str__(self) -> str:
        owners = f" {self.owner}:{self.group}" if self.owner else ""
        return f"{self.mode:04o}{owners}"


def directory(path: str, wanted: Attributes) -> Iterator[Change]:
    """A directory that is there; its parents are made as root's own."""
    if os.path.isdir(path) and not os.path.islink(path):
        yield from _attributes(path, wanted)
        return
    if os.path.lexists(path):
        raise HostError(f"{path} is not a directory; move it away")

    def make() -> None:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        os.mkdir(path, 0o700)
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
    """A file with this content.

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

    def write() -> None:
        write_file(path, content.encode("utf-8"), wanted, validate)
        if then:
            then()

    shown = mask(before or "", content)
    yield Change(
        f"write {path}",
        write,
        before=shown[0],
        after=shown[1],
        before_header=path if before is not None else ABSENT,
        after_header=f"{path} {wanted}",
        restarts=restarts,
    )


def absent(path: str, what: str = "") -> Iterator[Change]:
    """Nothing at that path; a directory goes with all that is in it."""
    if not os.path.lexists(path):
        return

    def remove() -> None:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):  # a change before this one took it along
                os.unlink(path)

    yield Change(f"remove {what or path}", remove, before=f"{path}\n", before_header=path, after_header=ABSENT)


def read_text(path: str) -> Optional[str]:
    """A file's text, None when there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return None


def write_file(path: str, content: bytes, wanted: Attributes, validate: Optional[Callable[[str], None]] = None) -> None:
    """Writes a file so that a reader sees the old one or the new one, whole.

    The new file is made beside the old one: it is on the same file system, and SELinux labels it as its directory says.

    Raises:
        OSError: there is no room or no permission; nothing is left behind.
    """
    handle, fresh = tempfile.mkstemp(prefix=f".{os.path.basename(path)}-", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        set_attributes(fresh, wanted)
        if validate:
            validate(fresh)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise
    selinux.restore(path)


def set_attributes(path: str, wanted: Attributes) -> None:
    """Owner first: a change of owner clears bits of the mode."""
    if wanted.owner is not None and wanted.group is not None:
        os.chown(path, pwd.getpwnam(wanted.owner).pw_uid, grp.getgrnam(wanted.group).gr_gid, follow_symlinks=False)
    os.chmod(path, wanted.mode)


def attributes_of(path: str) -> Attributes:
    """What a file or directory has now; numbers stand for names that nobody has."""
    found = os.lstat(path)
    return Attributes(stat.S_IMODE(found.st_mode), _user_name(found.st_uid), _group_name(found.st_gid))


def _attributes(path: str, wanted: Attributes) -> Iterator[Change]:
    now = attributes_of(path)
    if now.mode == wanted.mode and (wanted.owner is None or now[1:] == wanted[1:]):
        return
    shown = now if wanted.owner else Attributes(now.mode)
    yield Change(
        f"set owner and mode of {path}",
        lambda: set_attributes(path, wanted),
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
