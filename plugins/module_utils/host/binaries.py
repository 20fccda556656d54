"""Puts releases in place: `versions/RELEASE/{kkagent,kktool}`, and `current`, which points at one of them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from typing import Callable, Iterator, List, Optional, Sequence

from . import opening, selinux
from .changes import ABSENT, Change, HostError
from .commands import run
from .files import Attributes, attributes_of, give_tree, owned_as, point_link, write_file
from .files import directory as wanted_directory
from .installed import installed
from .release import Binary, Release, check, content_of

_MODE = 0o755


def checked(release: Release, directories: Sequence[str]) -> Release:
    """Refuse damaged files, and files that nobody has signed who may, before anything on the host is changed.

    Args:
        directories: those of the agents. Where one of them lacks a file that has to be signed, it is downloaded now,
            and the content is in what is returned.

    Raises:
        HostError: a file's content is not what its checksum says, or its signature does not hold.
    """
    for binary in release.binaries:
        if binary.content is not None:
            check(binary, binary.content)
    versions = [os.path.join(directory, "versions", release.name) for directory in directories]
    return release._replace(binaries=[_fetched(binary, versions) for binary in release.binaries])


def _fetched(binary: Binary, versions: Sequence[str]) -> Binary:
    missing = not all(_same(os.path.join(version, binary.name), binary.sha256) for version in versions)
    return binary._replace(content=content_of(binary)) if binary.allowed_signers and missing else binary


def converge(directory: str, release: Release, owner: Attributes, python: str, user: str = "") -> Iterator[Change]:
    """Put the release in place, and point `current` at it.

    Args:
        directory: the agent's directory.
        owner: owner and group of what is made; its mode is not used.
        python: what is going to run it.
        user: the account that is going to run it, and is the one to try it; empty for who runs this.
    """
    target = os.path.join(directory, "versions", release.name)
    before = installed(directory)
    if not _intact(target, release, owner):
        yield Change(
            f"install version {release.name}",
            lambda: _install(directory, release, owner, python, user),
            after="".join(f"{binary.name} sha256 {binary.sha256}\n" for binary in release.binaries),
            before_header=ABSENT,
            after_header=target,
            restarts=True,
        )
    if before != release.name:
        yield _switching(directory, release.name, before, owner)


def owners(directory: str, owner: Attributes) -> Iterator[Change]:
    """Give what is in `versions`, and the link `current`, to their owner."""
    if owner.owner is None:
        return
    versions = os.path.join(directory, "versions")
    for name in _releases(versions):
        path = os.path.join(versions, name)
        inside = [os.path.join(path, each) for each in opening.names(path)]
        if not all(owned_as(each, owner) for each in (path, *inside)):
            yield _handing_over(path, functools.partial(_give, path, owner), owner)
    link = os.path.join(directory, "current")
    target = opening.link_target(link)
    if target is not None and not owned_as(link, owner):
        # It may have been switched to another release meanwhile.
        yield _handing_over(link, lambda: point_link(link, opening.link_target(link) or target, owner), owner)


def _give(path: str, owner: Attributes) -> None:
    if opening.is_directory(path):  # an old release may have been removed meanwhile
        give_tree(path, owner._replace(mode=_MODE))


def _handing_over(path: str, give: Callable[[], None], owner: Attributes) -> Change:
    return Change(
        f"set owner of {path}",
        give,
        before="{0}:{1}\n".format(*attributes_of(path)[1:]),
        after=f"{owner.owner}:{owner.group}\n",
        before_header=path,
    )


def go_back(directory: str, name: str, owner: Attributes) -> Iterator[Change]:
    """Point `current` at a release that is on the host already.

    Raises:
        HostError: it is not there.
    """
    before = installed(directory)
    if not opening.is_plain(opening.status(os.path.join(directory, "versions", name, "kkagent"))):
        there = ", ".join(sorted(_releases(os.path.join(directory, "versions")))) or "none"
        raise HostError(f"{directory} has no release {name}; it has {there}")
    if before != name:
        yield _switching(directory, name, before, owner)


def surplus(directory: str, current: str, keep: int) -> Iterator[Change]:
    """Remove the oldest releases: at most `keep` stay, the current one among them.

    Planned before the agent is started again and carried out after it: until then it runs from one that may go.

    Args:
        directory: the agent's directory.
        current: the name of the release that is current then.
        keep: how many stay.
    """
    versions, before = os.path.join(directory, "versions"), installed(directory)
    others = [name for name in _releases(versions) if name != current]
    # The one that ran until now is the one to go back to, whatever its age.
    others.sort(key=lambda name: (name == before, _age(os.path.join(versions, name))), reverse=True)
    for name in others[max(0, keep - 1) :]:
        path = os.path.join(versions, name)
        yield Change(
            f"remove version {name}",
            functools.partial(opening.remove, path),
            before=f"{name}\n",
            before_header=path,
            after_header=ABSENT,
        )


def _switching(directory: str, name: str, before: Optional[str], owner: Attributes) -> Change:
    return Change(
        f"switch from version {before} to {name}" if before else f"switch to version {name}",
        lambda: _switch(directory, name, owner),
        before=f"versions/{before}\n" if before else "",
        after=f"versions/{name}\n",
        before_header=os.path.join(directory, "current"),
        restarts=True,
    )


def _intact(target: str, release: Release, owner: Attributes) -> bool:
    """Tell whether a release is whole and only its owner can write it.

    One that another account could write is made anew.
    """
    wanted = {os.path.join(target, binary.name): binary.sha256 for binary in release.binaries}
    return all(_same(path, sha256) for path, sha256 in wanted.items()) and all(
        owned_as(path, owner) for path in (target, *wanted)
    )


def _same(path: str, sha256: str) -> bool:
    content = opening.read_bytes(path, opening.MOST_BYTES)
    return (
        content is not None
        and hashlib.sha256(content).hexdigest() == sha256.lower()
        and attributes_of(path).mode & 0o777 == _MODE
    )


def _install(directory: str, release: Release, owner: Attributes, python: str, user: str) -> None:
    """Unpack in the agent's directory itself: `versions` may be the agent's own, and it could change what is tried."""
    versions = os.path.join(directory, "versions")
    target, stage = os.path.join(versions, release.name), os.path.join(directory, opening.unused_name("staging"))
    fresh = os.path.join(stage, "release")
    mine = Attributes(_MODE)
    try:
        for path in (stage, fresh):
            for change in wanted_directory(path, mine):
                change.apply()
        for binary in release.binaries:
            _write(os.path.join(fresh, binary.name), binary)
        if release.self_checking:
            # Before anything is switched to it: it is whole, and this host's Python can run it.
            run([python, os.path.join(fresh, "kkagent"), "check-integrity"], user=user)
        give_tree(fresh, owner._replace(mode=_MODE))
        if opening.status(target) is not None:  # damaged, or in other hands
            opening.move(target, os.path.join(stage, "old"))
        opening.move(fresh, target)
    finally:
        opening.remove(stage)
    selinux.restore(target)
    _sweep(directory)


def _write(path: str, binary: Binary) -> None:
    write_file(path, content_of(binary), Attributes(_MODE))
    if not _same(path, binary.sha256):
        raise HostError(f"{path} does not hold what was written to it; check the disk of the host")


def _switch(directory: str, name: str, owner: Attributes) -> None:
    """Point `current` at a release. There is always a `current`, and what it points at is the newest."""
    point_link(os.path.join(directory, "current"), os.path.join("versions", name), owner)
    with opening.parent(os.path.join(directory, "versions", name)) as (handle, last):
        os.utime(last, dir_fd=handle, follow_symlinks=False)


def _age(path: str) -> float:
    found = opening.status(path)
    return found.st_mtime if found else 0.0


def _releases(versions: str) -> List[str]:
    return [name for name in opening.names(versions) if not name.startswith(".")]


def _sweep(directory: str) -> None:
    """Remove what a run of an early version has left that was killed."""
    versions = os.path.join(directory, "versions")
    for name in opening.names(versions):
        if name.startswith((".new-", ".damaged-")):
            with contextlib.suppress(OSError):
                opening.remove(os.path.join(versions, name))
