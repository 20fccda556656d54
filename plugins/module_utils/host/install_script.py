"""The Kraken server's own `kraken-agent-install.sh`: what it needs, running it once, and what it leaves besides.

The script downloads the server's kkagent and runs its command `install`. What that leaves was read in krakenci 1.7.36
(kraken/agent/install.py, update.py); kraken-fleet's own kkagent leaves less.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import Iterator, List

from . import opening, systemd, users
from .changes import ABSENT, Change, HostError
from .commands import find, run
from .files import absent, attributes_of, read_text, write_file
from .release import download
from .spec import AgentSpec

# Where the script installs, whatever it is told.
_FIXED = {"directory": "/opt/kraken", "unit": "kraken-agent", "user": "kraken"}
_SECONDS = 600.0
_INSTEAD = "or choose kraken_agent_install_method: binaries, which needs none of it"
_SUDOERS_PATH = "/etc/sudoers.d/kraken"
_SUDOERS = re.compile(r"kraken ALL ?= ?(?:\(ALL\) )?NOPASSWD: ?ALL\n\Z")
# The system's own files, to which each run of upstream's adds a line.
_SYSTEMS_OWN = ("/etc/sudoers", "/etc/sudo.conf")
_UNIT_DIRECTORIES = ("/lib/systemd/system", "/usr/lib/systemd/system")
_SKELETON = "/etc/skel"


def check(spec: AgentSpec) -> None:
    """Refuse an agent that the script cannot install.

    Raises:
        HostError: it is to be elsewhere than the script puts it, or not a service of systemd.
    """
    if spec.manager != "systemd":
        raise HostError(f"The server's script makes a service of systemd, as root; let Ansible become root, {_INSTEAD}")
    for what, value in _FIXED.items():
        if getattr(spec, what) != value:
            raise HostError(
                f"The server's script can only use {what} {value}, and {getattr(spec, what)} is asked for; "
                "remove kraken_agent_dir, kraken_agent_unit, kraken_agent_user and kraken_agent_instances, "
                "or set kraken_agent_install_method to binaries"
            )


def once(spec: AgentSpec) -> Iterator[Change]:
    """Run the script, unless an agent is there already: a second run would add to what the first has left.

    Raises:
        HostError: the host lacks what the script needs.
    """
    if _installed(spec):
        return
    _refuse_strange_directory(spec.directory)
    _refuse_without_needs()
    yield Change(
        "run the server's kraken-agent-install.sh",
        lambda: _run(spec),
        after="an agent, to be brought to the state below\n",
        before_header=ABSENT,
        after_header=spec.script,
    )


def leavings(spec: AgentSpec) -> Iterator[Change]:
    """Remove what the script has left outside the agent's directory and a deploy does not make.

    Somebody may have run it by hand. Comes last: upstream's unit file is hidden by then.
    """
    if spec.manager != "systemd" or any(getattr(spec, what) != value for what, value in _FIXED.items()):
        return
    for directory in sorted({os.path.realpath(one) for one in _UNIT_DIRECTORIES}):
        yield from _second_unit(spec, os.path.join(directory, f"{spec.unit}.service"))
    if _SUDOERS.match(read_text(_SUDOERS_PATH) or ""):
        yield from absent(_SUDOERS_PATH)


def skeleton(directory: str) -> List[str]:
    """Name the files that useradd has copied from /etc/skel: upstream's account has the directory as its home."""
    names = sorted(opening.names(_SKELETON))
    return [name for name in names if _alike(os.path.join(_SKELETON, name), os.path.join(directory, name))]


def _alike(one: str, other: str) -> bool:
    content = opening.read_bytes(one)
    return content is not None and opening.read_bytes(other) == content


def _installed(spec: AgentSpec) -> bool:
    """Tell whether an agent is installed: upstream links `kkagent` itself, kraken-fleet `current`."""
    return any(opening.status(os.path.join(spec.directory, name)) is not None for name in ("current", "kkagent"))


def _refuse_strange_directory(directory: str) -> None:
    """Refuse a directory that is not empty: the script works as root in whatever it finds there, and follows links."""
    found = opening.status(directory)
    if found is not None and found.st_uid not in (0, os.geteuid()):
        raise HostError(
            f"{directory} is there already, without an agent, and belongs to another account than root; the server's "
            f"kraken-agent-install.sh would work in it as root. Remove it, {_INSTEAD}"
        )


def _refuse_without_needs() -> None:
    missing = [name for name in ("bash", "sudo", "python3", "which") if find(name) is None]
    if find("curl") is None and find("wget") is None:
        missing.append("curl or wget")
    if missing:
        raise HostError(
            f"The server's kraken-agent-install.sh needs {', '.join(missing)} on the host; install that, {_INSTEAD}"
        )
    try:
        run(["sudo", "-n", "true"])
    except HostError as error:
        raise HostError(
            f"The server's kraken-agent-install.sh needs sudo without a password: {error}; see /etc/sudoers, {_INSTEAD}"
        ) from error


def _run(spec: AgentSpec) -> None:
    script = download(spec.script)
    if not script.startswith(b"#!"):
        raise HostError(f"{spec.script} is no script; see whether kraken_agent_server_url is the Kraken server's")
    import tempfile

    handle, path = tempfile.mkstemp(prefix="kraken-agent-install-", suffix=".sh")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(script)
        with _kept(_SYSTEMS_OWN), _same_groups(spec.user):
            said = run(["bash", path], timeout=_SECONDS)
    finally:
        os.unlink(path)
    if not _installed(spec):
        raise HostError(
            f"The server's kraken-agent-install.sh has installed no agent. The end of its output:\n{said[-2000:]}"
        )


@contextlib.contextmanager
def _kept(paths: "tuple[str, ...]") -> Iterator[None]:
    """Restore these files afterwards."""
    before = {path: (read_text(path), attributes_of(path)) for path in paths if opening.status(path) is not None}
    try:
        yield
    finally:
        for path in paths:
            if path not in before:
                for change in absent(path):
                    change.apply()
                continue
            text, attributes = before[path]
            if text is not None and read_text(path) != text:
                write_file(path, text.encode("utf-8", "surrogateescape"), attributes)


@contextlib.contextmanager
def _same_groups(user: str) -> Iterator[None]:
    """Take the account out of the groups that it gets meanwhile: kraken_agent_extra_groups says which it has."""
    before = users.groups_of(user)
    try:
        yield
    finally:
        for name in sorted(users.groups_of(user) - before):
            run(["gpasswd", "--delete", user, name])


def _second_unit(spec: AgentSpec, path: str) -> Iterator[Change]:
    """Remove upstream's unit file, which is where distributions have theirs; the one in /etc hides it."""
    if f"{spec.directory}/kkagent" not in (read_text(path) or ""):
        return

    def remove() -> None:
        os.unlink(path)
        systemd.reload()
        if spec.enabled and os.path.exists(systemd.unit_path(spec.unit)):
            systemd.enable_again(spec.unit)

    yield Change(f"remove {path}", remove, before=f"{path}\n", before_header=path, after_header=ABSENT)
