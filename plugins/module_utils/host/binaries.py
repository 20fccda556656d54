"""Versions of the agent's files: `versions/RELEASE/{kkagent,kktool}`, and `current`, which points at one of them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

from . import opening, selinux, signatures
from .changes import ABSENT, Change, HostError
from .commands import run
from .files import Attributes, attributes_of, give_tree, owned_as, point_link, write_file
from .files import directory as wanted_directory
from .setting import OURS, UPSTREAM

_MODE = 0o755
# The names of releases as deploys and agents give them; anything else was put there by hand, or by a job.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*\Z")
_TIMEOUT = 60.0
_MANIFEST = "MANIFEST.json"  # as kraken_fleet.bundle writes it


class Binary(NamedTuple):
    """One file of a release: `sha256` is what its content must have. The content came along, or is at `url`.

    Args:
        allowed_signers: the text of a file of ssh-keygen's; what is downloaded has to be signed by one of them.
    """

    name: str
    sha256: str
    content: Optional[bytes] = None
    url: str = ""
    allowed_signers: str = ""


class Release(NamedTuple):
    """What belongs together under one version.

    Args:
        self_checking: whether kkagent has the command `check-integrity`.
    """

    version: str
    binaries: Sequence[Binary]
    self_checking: bool = False

    @property
    def name(self) -> str:
        """The version with a checksum over all files: two builds that call themselves the same differ here."""
        together = "".join(sorted(f"{binary.name} {binary.sha256}\n" for binary in self.binaries))
        return f"{self.version}-{hashlib.sha256(together.encode()).hexdigest()[:8]}"


def installed(directory: str) -> Optional[str]:
    """Return the release that `current` points at, None when there is none."""
    name = os.path.basename(opening.link_target(os.path.join(directory, "current")) or "")
    return name if _PLAIN.match(name) else None


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
            _check(binary, binary.content)
    versions = [os.path.join(directory, "versions", release.name) for directory in directories]
    return release._replace(binaries=[_fetched(binary, versions) for binary in release.binaries])


def _fetched(binary: Binary, versions: Sequence[str]) -> Binary:
    missing = not all(_same(os.path.join(version, binary.name), binary.sha256) for version in versions)
    return binary._replace(content=_content(binary)) if binary.allowed_signers and missing else binary


def converge(
    directory: str, release: Release, keep: int, owner: Attributes, python: str, user: str = ""
) -> Iterator[Change]:
    """Put the release in place, point `current` at it, and keep at most `keep` releases, this one among them.

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
    yield from _prune(directory, release.name, before, keep)


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


def is_own(directory: str, name: str) -> bool:
    """Tell whether a release on the host was built by kraken-fleet: its file then lists its own content."""
    content = opening.read_bytes(os.path.join(directory, "versions", name, "kkagent"), opening.MOST_BYTES)
    return _MANIFEST in _names_in(content or b"")


def agent_of(content: bytes) -> str:
    """Tell whose agent a file is: `ours`, unless it is known to be Kraken's own (a file made by shiv)."""
    names = _names_in(content)
    upstream = _MANIFEST not in names and any(name.startswith("site-packages/kraken/agent/") for name in names)
    return UPSTREAM if upstream else OURS


def _names_in(content: bytes) -> List[str]:
    """Name the files in an archive; none when it is no archive."""
    import io
    import zipfile  # Imported here, as most hosts have nothing to unpack.

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return []


def agent_on_host(directory: str, name: str) -> str:
    """Tell the same of a release that is on the host."""
    path = os.path.join(directory, "versions", name, "kkagent")
    return agent_of(opening.read_bytes(path, opening.MOST_BYTES) or b"")


def has(directory: str, agent: str) -> bool:
    """Tell whether a release of this agent is what `current` points at."""
    name = installed(directory)
    return name is not None and agent_on_host(directory, name) == agent


def known_agent(parameters: Mapping[str, Any]) -> Dict[str, Any]:
    """Find out whose agent is about to come, when the controller has not seen the file; what it takes is downloaded.

    Args:
        parameters: of the task on the host.

    Returns:
        The same with `agent`; the content of a file that was downloaded is among its `binaries`.

    Raises:
        HostError: the file cannot be had, or is damaged.
    """
    if parameters.get("agent", OURS) or parameters["releases"]:
        return dict(parameters)
    signers = parameters["allowed_signers"]
    given = [Binary(one["name"], one["sha256"], None, one["url"], signers) for one in parameters["binaries"]]
    release = Release(parameters["bundle_version"], given)
    there = os.path.join(parameters["dir"], "versions", release.name, "kkagent")
    content = opening.read_bytes(there, opening.MOST_BYTES)
    kept: List[Dict[str, Any]] = [dict(one) for one in parameters["binaries"]]
    if content is None or hashlib.sha256(content).hexdigest() != given[0].sha256.lower():
        content = _content(given[0])
        kept[0]["fetched"] = content
    return {**parameters, "agent": agent_of(content), "binaries": kept}


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


def _check(binary: Binary, content: bytes) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != binary.sha256.lower():
        raise HostError(
            f"{binary.name} is damaged: its sha256 is {found}, expected {binary.sha256}. The version that is installed "
            "stays. Build the bundle again, or correct kraken_agent_bundle_sha256"
        )


def _content(binary: Binary) -> bytes:
    if binary.content is not None:
        _check(binary, binary.content)
        return binary.content
    content = download(binary.url)
    _check(binary, content)
    if binary.allowed_signers:
        _check_signature(binary, content)
    return content


def _check_signature(binary: Binary, content: bytes) -> None:
    url = binary.url + signatures.SUFFIX
    try:
        signature = download(url)
    except HostError as error:
        raise HostError(f"{binary.url} is not signed, nothing was installed. {error}. {signatures.ADVICE}") from error
    signatures.check(content, signature, binary.allowed_signers, url)


def download(url: str) -> bytes:
    """Download a URL, through the proxies that the environment of this process names.

    Raises:
        HostError: it cannot be had.
    """
    import urllib.request  # Imported here, as most hosts have nothing to download.

    try:
        with urllib.request.build_opener().open(url, timeout=_TIMEOUT) as answer:
            return bytes(answer.read())
    except (OSError, ValueError) as error:
        raise HostError(f"{url} cannot be downloaded: {getattr(error, 'reason', error)}") from error


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
    write_file(path, _content(binary), Attributes(_MODE))
    if not _same(path, binary.sha256):
        raise HostError(f"{path} reads back differently from what was written: look after the disk")


def _switch(directory: str, name: str, owner: Attributes) -> None:
    """Point `current` at a release. There is always a `current`, and what it points at is the newest."""
    point_link(os.path.join(directory, "current"), os.path.join("versions", name), owner)
    with opening.parent(os.path.join(directory, "versions", name)) as (handle, last):
        os.utime(last, dir_fd=handle, follow_symlinks=False)


def _prune(directory: str, current: str, before: Optional[str], keep: int) -> Iterator[Change]:
    versions = os.path.join(directory, "versions")
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


def _age(path: str) -> float:
    found = opening.status(path)
    return found.st_mtime if found else 0.0


def _releases(versions: str) -> List[str]:
    return [name for name in opening.names(versions) if not name.startswith(".")]


def _sweep(directory: str) -> None:
    """Remove what an earlier run has left that was interrupted."""
    for place, beginnings in (
        (directory, (".staging-",)),
        (os.path.join(directory, "versions"), (".new-", ".damaged-")),
    ):
        for name in opening.names(place):
            if name.startswith(beginnings):
                with contextlib.suppress(OSError):
                    opening.remove(os.path.join(place, name))
