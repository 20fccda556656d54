"""Versions of the agent's files: `versions/RELEASE/{kkagent,kktool}`, and `current`, which points at one of them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import urllib.request
import zipfile
from typing import Iterator, List, NamedTuple, Optional, Sequence

from . import selinux
from .changes import ABSENT, Change, HostError
from .commands import run
from .files import Attributes, set_attributes, write_file

_MODE = 0o755
_TIMEOUT = 60.0
_MANIFEST = "MANIFEST.json"  # as kraken_fleet.bundle writes it


class Binary(NamedTuple):
    """One file of a release: `sha256` is what its content must have. The content came along, or is at `url`."""

    name: str
    sha256: str
    content: Optional[bytes] = None
    url: str = ""


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
    """The release that `current` points at, None when there is none."""
    try:
        return os.path.basename(os.readlink(os.path.join(directory, "current")))
    except OSError:
        return None


def check(release: Release) -> None:
    """Refuses damaged files before anything on the host is touched.

    Raises:
        HostError: a file's content is not what its checksum says.
    """
    for binary in release.binaries:
        if binary.content is not None:
            _check(binary, binary.content)


def converge(directory: str, release: Release, keep: int, owner: Attributes, python: str) -> Iterator[Change]:
    """The release in place, `current` on it, and at most `keep` releases kept, this one among them.

    Args:
        directory: the agent's directory.
        owner: owner and group of what is made; its mode is not used.
        python: what is going to run it.
    """
    target = os.path.join(directory, "versions", release.name)
    before = installed(directory)
    if not _intact(target, release):
        yield Change(
            f"install version {release.name}",
            lambda: _install(target, release, owner, python),
            after="".join(f"{binary.name} sha256 {binary.sha256}\n" for binary in release.binaries),
            before_header=ABSENT,
            after_header=target,
            restarts=True,
        )
    if before != release.name:
        yield _switching(directory, release.name, before)
    yield from _prune(directory, release.name, before, keep)


def go_back(directory: str, name: str) -> Iterator[Change]:
    """`current` on a release that is on the host already.

    Raises:
        HostError: it is not there.
    """
    before = installed(directory)
    if not os.path.isfile(os.path.join(directory, "versions", name, "kkagent")):
        there = ", ".join(sorted(_releases(os.path.join(directory, "versions")))) or "none"
        raise HostError(f"{directory} has no release {name}; it has {there}")
    if before != name:
        yield _switching(directory, name, before)


def is_own(directory: str, name: str) -> bool:
    """Whether a release that is on the host was built by kraken-fleet: its file has a list of its own content."""
    try:
        with zipfile.ZipFile(os.path.join(directory, "versions", name, "kkagent")) as archive:
            return _MANIFEST in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _switching(directory: str, name: str, before: Optional[str]) -> Change:
    return Change(
        f"switch to version {name}",
        lambda: _switch(directory, name),
        before=f"versions/{before}\n" if before else "",
        after=f"versions/{name}\n",
        before_header=os.path.join(directory, "current"),
        restarts=True,
    )


def _intact(target: str, release: Release) -> bool:
    return all(_same(os.path.join(target, binary.name), binary.sha256) for binary in release.binaries)


def _same(path: str, sha256: str) -> bool:
    try:
        with open(path, "rb") as file:
            content = file.read()
        return hashlib.sha256(content).hexdigest() == sha256.lower() and os.stat(path).st_mode & 0o777 == _MODE
    except OSError:
        return False


def _check(binary: Binary, content: bytes) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != binary.sha256.lower():
        raise HostError(
            f"{binary.name} is damaged: its sha256 is {found}, expected {binary.sha256}. The version that is installed "
            "stays. Build the bundle again, or correct kraken_agent_bundle_sha256"
        )


def _content(binary: Binary) -> bytes:
    content = binary.content if binary.content is not None else download(binary.url)
    _check(binary, content)
    return content


def download(url: str) -> bytes:
    """What is at a URL; the proxies of this process's environment are used.

    Raises:
        HostError: it cannot be had.
    """
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
            return bytes(answer.read())
    except (OSError, ValueError) as error:
        raise HostError(f"{url} cannot be downloaded: {getattr(error, 'reason', error)}") from error


def _install(target: str, release: Release, owner: Attributes, python: str) -> None:
    parent = os.path.dirname(target)
    fresh = tempfile.mkdtemp(prefix=".new-", dir=parent)
    try:
        for binary in release.binaries:
            _write(os.path.join(fresh, binary.name), binary, owner)
        if release.self_checking:
            # Before anything is switched to it: it is whole, and this host's Python can run it.
            run([python, os.path.join(fresh, "kkagent"), "check-integrity"])
        set_attributes(fresh, owner._replace(mode=_MODE))
        if os.path.lexists(target):
            os.replace(target, tempfile.mkdtemp(prefix=".damaged-", dir=parent))
        os.rename(fresh, target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    selinux.restore(target)
    _sweep(parent)


def _write(path: str, binary: Binary, owner: Attributes) -> None:
    write_file(path, _content(binary), owner._replace(mode=_MODE))
    if not _same(path, binary.sha256):
        raise HostError(f"{path} reads back differently from what was written: look after the disk")


def _switch(directory: str, name: str) -> None:
    """A rename replaces the link in one step: there is always a `current`."""
    fresh = os.path.join(directory, f".current-{os.getpid()}")
    os.symlink(os.path.join("versions", name), fresh)
    os.replace(fresh, os.path.join(directory, "current"))
    selinux.restore(os.path.join(directory, "current"))
    os.utime(os.path.join(directory, "versions", name))


def _prune(directory: str, current: str, before: Optional[str], keep: int) -> Iterator[Change]:
    versions = os.path.join(directory, "versions")
    others = [name for name in _releases(versions) if name != current]
    # The one that ran until now is the one to go back to, whatever its age.
    others.sort(key=lambda name: (name == before, os.stat(os.path.join(versions, name)).st_mtime), reverse=True)
    for name in others[max(0, keep - 1) :]:
        path = os.path.join(versions, name)
        yield Change(
            f"remove version {name}",
            lambda path=path: shutil.rmtree(path),
            before=f"{name}\n",
            before_header=path,
            after_header=ABSENT,
        )


def _releases(versions: str) -> List[str]:
    try:
        return [name for name in os.listdir(versions) if not name.startswith(".")]
    except OSError:
        return []


def _sweep(versions: str) -> None:
    """What an earlier run that was cut off has left."""
    for name in os.listdir(versions):
        if name.startswith((".new-", ".damaged-")):
            shutil.rmtree(os.path.join(versions, name), ignore_errors=True)
