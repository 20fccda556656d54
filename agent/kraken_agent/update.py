"""Follows the server's version (KRAKEN_AGENT_UPDATE=server): new files, checked, switched to in one step, or back.

The agent replaces itself by exec, so it keeps its process id. The new files are on trial until the new agent has had an
answer from the server: only then does `current` point at them, so whatever ends the trial, the next start is one of the
old files. A small guard, forked just before, ends the trial. A version that failed is not tried again. One that could
not be had, because the server was away or the disk full, is.
"""

from __future__ import annotations

import errno
import os
import sys

from kraken_agent import __version__
from kraken_agent.state_files import StateError, read_object, write_object
from kraken_agent.transport import TransportError
from kraken_agent.update_guard import Trial, fork_guard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Sequence, Tuple

    from kraken_agent.config import Config
    from kraken_agent.logs import Log
    from kraken_agent.protocol import ServerUrl
    from kraken_agent.reactor import Reactor
    from kraken_agent.session import Session

_CHECK_SECONDS = 60.0
# What kept a version from being had may be over by then.
_AGAIN_SECONDS = 600.0
# The agent may not write beside its file, and that does not change by itself.
_LASTING = (errno.EACCES, errno.EPERM, errno.EROFS)
_LONGEST_VERSION = 40
_STATE_FILE = "update.json"
_STATE_FIELDS = ("version", "state", "release")
# What the server offers, and what it is called here.
_FILES = (("install/agent", "kkagent"), ("install/tool", "kktool"))

CURRENT = "current"
FAILED = "failed"
TRYING = "trying"


class UpdateError(Exception):
    """The new version is no good; the old one goes on."""


class UpdateRefusedError(Exception):
    """Nobody vouches for the new version, or it is an older one; the text says what would help."""


def follow(version: str, reactor: Reactor, session: Session, log: Log, config: Config) -> float:
    """Become the server's version, if this agent is not and did not fail to. Does not return when it does.

    Args:
        version: the server's; empty when it does not say.

    Returns:
        for how many seconds the version is to be left alone; without end, until the settings change, when it was
        refused.
    """
    data_dir = config.data_dir
    if version in ("", __version__) or read_state(data_dir).get("version") == version:
        return 0.0
    try:
        _refuse_by_settings(version, session.server, config)
        root = installation(sys.argv[0])
        release = _fetch(version, root, reactor, session, log, config.update_digests)
        if not release:
            write_state(data_dir, version, CURRENT)
            return 0.0
    except UpdateRefusedError as error:
        log.warning(f"no update to {version}: {error}")
        return float("inf")
    except (UpdateError, TransportError, OSError) as error:
        if isinstance(error, UpdateError) or getattr(error, "errno", 0) in _LASTING:
            log.warning(f"no update to {version}: {error}")
            write_state(data_dir, version, FAILED)
            return 0.0
        # It says nothing of the version.
        log.warning(f"no update to {version} now: {error}; trying again in {_AGAIN_SECONDS / 60:g} minutes")
        return _AGAIN_SECONDS
    log.info(f"update from {__version__} to {version}: restarting as {release}")
    log.drain(1.0)
    _try(root, release, version, data_dir)
    return 0.0


def _refuse_by_settings(version: str, server: ServerUrl, config: Config) -> None:
    """Refuse what anybody on the way could have sent, and what is older than this agent.

    Raises:
        UpdateRefusedError: see there.
    """
    if server.scheme != "https" and not config.update_digests:
        raise UpdateRefusedError(
            f"{server} is not reached over https, so anybody on the way could send another file. Use https, or name the"
            " SHA-256 sums of the server's kkagent and kktool in KRAKEN_AGENT_UPDATE_SHA256"
        )
    if _numbers(version) < _numbers(__version__) and not config.takes_older:
        raise UpdateRefusedError(
            f"it is older than this agent, {__version__}. KRAKEN_AGENT_UPDATE_OLDER=yes allows older versions"
        )


def _numbers(version: str) -> Tuple[int, ...]:
    """Return a version as numbers to compare: `1.7.36` is (1, 7, 36); what follows the numbers does not count."""
    numbers = []
    for part in version[:_LONGEST_VERSION].split("."):
        if not (part.isascii() and part.isdigit()):
            break
        numbers.append(int(part))
    return tuple(numbers)


def is_on_trial(data_dir: str) -> bool:
    """Return whether this agent is a new version without an answer yet; the old one notes the failure."""
    state = read_state(data_dir)
    if state.get("state") != TRYING:
        return False
    if state.get("release") == os.path.basename(os.path.dirname(os.path.abspath(sys.argv[0]))):
        try:
            installation(sys.argv[0])
        except UpdateError:
            # An agent from elsewhere makes no updates: somebody else has written this.
            write_state(data_dir, state["version"], FAILED)
            return False
        return True
    write_state(data_dir, state.get("version", ""), FAILED)
    return False


def accept_new_version(data_dir: str) -> None:
    """Make the new agent, which works, the current one.

    Raises:
        OSError: `current` cannot be switched.
    """
    state = read_state(data_dir)
    switch(installation(sys.argv[0]), os.path.join("versions", state["release"]))
    write_state(data_dir, state["version"], CURRENT)


def forget_trial(data_dir: str) -> None:
    """Forget that a new agent was tried, which was told to stop too early: the next start tries again."""
    os.unlink(os.path.join(data_dir, _STATE_FILE))


def installation(program: str) -> str:
    """Return the directory with `current` and `versions` that a program runs from.

    Raises:
        UpdateError: it runs from elsewhere.
    """
    place, name = os.path.split(os.path.abspath(program))
    parent, last = os.path.split(place)
    root = parent if last == "current" else os.path.dirname(parent)
    is_release = last == "current" or os.path.basename(parent) == "versions"
    if name != "kkagent" or not is_release or not os.path.islink(os.path.join(root, "current")):
        raise UpdateError(f"{program} is not the file kkagent of a directory with `current` and `versions`")
    return root


def read_state(data_dir: str) -> Dict[str, str]:
    """Return what became of the last update: `version`, `state` and, on trial, `release`; empty when there was none.

    A file that nobody can read says nothing: the update is tried again then.
    """
    try:
        state = read_object(os.path.join(data_dir, _STATE_FILE)) or {}
    except StateError:
        return {}
    known = {name: str(state[name]) for name in _STATE_FIELDS if name in state}
    is_whole = "version" in known and (known.get("state") != TRYING or "release" in known)
    return known if is_whole else {}


def write_state(data_dir: str, version: str, state: str, **more: str) -> None:
    """Remember what became of an update. When the disk refuses, it is tried again with the next poll."""
    try:
        write_object(os.path.join(data_dir, _STATE_FILE), {"version": version, "state": state, **more})
    except OSError:
        return


def switch(root: str, target: str) -> None:
    """Let `current` point elsewhere; there is always a `current`."""
    fresh = os.path.join(root, f".current-{os.getpid()}")
    if os.path.lexists(fresh):
        os.unlink(fresh)
    os.symlink(target, fresh)
    os.replace(fresh, os.path.join(root, "current"))


def _fetch(version: str, root: str, reactor: Reactor, session: Session, log: Log, digests: Sequence[str]) -> str:
    """Bring the server's files into place, checked.

    Returns:
        the name of the release; empty when the server's agent is the very file that runs, whatever it calls itself.

    Raises:
        UpdateRefusedError: a file is none of those that the digests vouch for.
    """
    import hashlib
    import shutil

    content = {name: session.download(source) for source, name in _FILES}
    with open(os.path.join(root, "current", "kkagent"), "rb") as file:
        if file.read() == content["kkagent"]:
            return ""
    for name, data in content.items():
        digest = hashlib.sha256(data).hexdigest()
        if digests and digest not in digests:
            raise UpdateRefusedError(
                f"KRAKEN_AGENT_UPDATE_SHA256 does not name the server's {name}, whose sum is {digest}"
            )
    # The version is the server's word, and becomes a name in a directory.
    release = f"{version[:_LONGEST_VERSION].replace('/', '_')}-{hashlib.sha256(content['kkagent']).hexdigest()[:8]}"
    directory = os.path.join(root, "versions", release)
    if os.path.isdir(directory):
        return release
    fresh = f"{directory}.new-{os.getpid()}"
    try:
        os.makedirs(fresh, mode=0o755)
        for name, data in content.items():
            path = os.path.join(fresh, name)
            with open(path, "wb") as file:
                file.write(data)
            os.chmod(path, 0o755)  # noqa: S103 - a program for everybody to run
            _check(path, reactor, log)
        os.rename(fresh, directory)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return release


def _check(path: str, reactor: Reactor, log: Log) -> None:
    """Have a file check itself.

    Raises:
        UpdateError: it is damaged.
        OSError: the check did not come to its end.
    """
    import time

    from kraken_agent.process import Process

    def main(_: object) -> int:
        os.execv(sys.executable, [sys.executable, path, "check-integrity"])

    output = log.stream({})
    process = Process(reactor, main, on_output=output.write, on_end=output.close)
    if not reactor.run_until(lambda: process.has_ended, time.monotonic() + _CHECK_SECONDS):
        process.stop()
        reactor.run_until(lambda: process.has_ended)
    process.close()
    name, code = os.path.basename(path), process.code or 0
    if code < 0:
        # It took too long, or there was no memory left for it.
        raise OSError(f"the check of the server's {name} was ended by signal {-code}")
    if code:
        raise UpdateError(f"the server's {name} is damaged: its own check ended with {code}")


def _try(root: str, release: str, version: str, data_dir: str) -> None:
    write_state(data_dir, version, TRYING, release=release)
    target = os.path.join("versions", release)

    def accept() -> None:
        switch(root, target)
        write_state(data_dir, version, CURRENT)

    trial = Trial(
        is_over=lambda: read_state(data_dir).get("state") != TRYING,
        accept=accept,
        reject=lambda: write_state(data_dir, version, FAILED),
        old=[sys.executable, os.path.join(root, "current", "kkagent"), *sys.argv[1:]],
        pid_file=os.path.join(root, "agent.pid"),
    )
    fork_guard(trial)
    os.execv(sys.executable, [sys.executable, os.path.join(root, target, "kkagent"), *sys.argv[1:]])
