"""Follows the server's version (KRAKEN_AGENT_UPDATE=server): new files, checked, switched to in one step, or back.

The agent replaces itself by exec, so it keeps its process id. A small guard, forked just before, sees whether the new
agent comes up, and goes back to the old files when it does not. A version that failed is not tried again.
"""

from __future__ import annotations

import json
import os
import sys

from kraken_agent import __version__
from kraken_agent.transport import TransportError
from kraken_agent.update_guard import fork_guard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from kraken_agent.logs import Log
    from kraken_agent.reactor import Reactor
    from kraken_agent.session import Session

_CHECK_SECONDS = 60.0
_STATE_FILE = "update.json"
# What the server offers, and what it is called here.
_FILES = (("install/agent", "kkagent"), ("install/tool", "kktool"))

CURRENT = "current"
FAILED = "failed"
TRYING = "trying"


class UpdateError(Exception):
    """The new version cannot be had or is no good; the old one goes on."""


def follow(version: str, reactor: Reactor, session: Session, log: Log, data_dir: str) -> None:
    """Become the server's version, if this agent is not and did not fail to. Does not return when it does.

    Args:
        version: the server's.
    """
    if version == __version__ or read_state(data_dir).get("version") == version:
        return
    try:
        root = installation(sys.argv[0])
        old = os.readlink(os.path.join(root, "current"))
        release = _fetch(version, root, reactor, session, log)
        if not release:
            write_state(data_dir, version, CURRENT)
            return
    except (UpdateError, TransportError, OSError) as error:
        log.warning(f"no update to {version}: {error}")
        write_state(data_dir, version, FAILED)
        return
    log.info(f"update from {__version__} to {version}: restarting as {release}")
    log.drain(1.0)
    _become(root, old, release, version, data_dir)


def came_up(data_dir: str) -> None:
    """Tell the guard that the new agent works."""
    state = read_state(data_dir)
    if state.get("state") == TRYING:
        write_state(data_dir, state.get("version", ""), CURRENT)


def installation(program: str) -> str:
    """The directory with `current` and `versions` that a program runs from.

    Raises:
        UpdateError: it runs from elsewhere.
    """
    link, name = os.path.split(os.path.abspath(program))
    root, current = os.path.split(link)
    if name != "kkagent" or current != "current" or not os.path.islink(link):
        raise UpdateError(f"{program} is not the file current/kkagent beside a directory of versions")
    return root


def read_state(data_dir: str) -> Dict[str, str]:
    """What became of the last update: `version` and `state`; empty when there was none."""
    try:
        with open(os.path.join(data_dir, _STATE_FILE), encoding="utf-8") as file:
            state = json.load(file)
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in state.items()} if isinstance(state, dict) else {}


def write_state(data_dir: str, version: str, state: str) -> None:
    """Remember what became of an update. When the disk refuses, it is tried again with the next poll."""
    path = os.path.join(data_dir, _STATE_FILE)
    try:
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump({"version": version, "state": state}, file)
        os.replace(path + ".new", path)
    except OSError:
        return


def switch(root: str, target: str) -> None:
    """Let `current` point elsewhere; there is always a `current`."""
    fresh = os.path.join(root, f".current-{os.getpid()}")
    if os.path.lexists(fresh):
        os.unlink(fresh)
    os.symlink(target, fresh)
    os.replace(fresh, os.path.join(root, "current"))


def _fetch(version: str, root: str, reactor: Reactor, session: Session, log: Log) -> str:
    """Bring the server's files into place, checked.

    Returns:
        the name of the release; empty when the server's agent is the very file that runs, whatever it calls itself.
    """
    import hashlib
    import shutil

    content = {name: session.download(source) for source, name in _FILES}
    with open(os.path.join(root, "current", "kkagent"), "rb") as file:
        if file.read() == content["kkagent"]:
            return ""
    release = f"{version.replace('/', '_')}-{hashlib.sha256(content['kkagent']).hexdigest()[:8]}"
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
    if process.code != 0:
        raise UpdateError(f"the server's {os.path.basename(path)} is damaged: its own check ended with {process.code}")


def _become(root: str, old: str, release: str, version: str, data_dir: str) -> None:
    write_state(data_dir, version, TRYING)
    argv = [sys.executable, os.path.join(root, "current", "kkagent"), *sys.argv[1:]]

    def go_back() -> None:
        switch(root, old)
        write_state(data_dir, version, FAILED)

    fork_guard(lambda: read_state(data_dir).get("state") == CURRENT, go_back, argv, os.path.join(root, "agent.pid"))
    switch(root, os.path.join("versions", release))
    os.execv(argv[0], argv)
