"""What a lab leaves on disk, all of it in one directory: `.lab/NAME`, with `lab.json` as its memory."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from kraken_fleet import whole_file
from kraken_fleet.errors import LabError
from kraken_fleet.lab.driver import LabHost
from kraken_fleet.processes import ProcessRef

ADMIN = "admin"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,30}")


@dataclass(frozen=True, slots=True)
class LabPaths:
    """Where everything of a lab is."""

    directory: Path

    @property
    def down_command(self) -> str:
        """What removes the lab, wherever it is typed."""
        parent = shlex.quote(str(self.directory.parent.parent))
        return f"kraken-fleet lab down --dir {parent} --name {self.directory.name}"

    @property
    def memory(self) -> Path:
        return self.directory / "lab.json"

    @property
    def inventory(self) -> Path:
        return self.directory / "hosts.yml"

    @property
    def password(self) -> Path:
        return self.directory / "admin-password"

    @property
    def ansible_config(self) -> Path:
        return self.directory / "ansible.cfg"

    @property
    def environment(self) -> Path:
        return self.directory / "env"

    @property
    def bundles(self) -> Path:
        return self.directory / "bundles"

    @property
    def server(self) -> Path:
        return self.directory / "server"


@dataclass(frozen=True, slots=True)
class LabState:
    """What a lab's state file has: which driver made which hosts, and the server process."""

    name: str
    driver: str
    hosts: tuple[LabHost, ...] = ()
    server_url: str = ""
    server: ProcessRef | None = None

    def save(self, paths: LabPaths) -> None:
        """Write it whole or not at all: another command may read it at any time."""
        content = asdict(self) | {"hosts": [_host_to_json(host) for host in self.hosts]}
        whole_file.write(paths.memory, json.dumps(content, indent=1))

    @classmethod
    def load(cls, paths: LabPaths) -> LabState | None:
        """Return what was saved; None when nothing was.

        Raises:
            LabError: the file is damaged.
        """
        try:
            content = json.loads(paths.memory.read_text(encoding="utf-8"))
            server = content["server"] and ProcessRef(**content["server"])
            hosts = tuple(LabHost(**host) for host in content["hosts"])
            return cls(content["name"], content["driver"], hosts, content["server_url"], server)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            hint = f"`{paths.down_command}` removes what it still finds of this lab"
            raise LabError(f"The lab's state file is damaged ({error})", where=str(paths.memory), hint=hint) from error


def lab_paths(parent: Path, name: str) -> LabPaths:
    """Say where the lab called `name` is, below the directory `parent`.

    Raises:
        LabError: the name cannot be a directory's and a container's name.
    """
    if not _NAME.fullmatch(name):
        hint = "Use up to 31 lower-case letters, digits, - and _, the first a letter or digit"
        raise LabError(f"{name!r} cannot be the name of a lab", hint=hint)
    return LabPaths(parent.resolve() / ".lab" / name)


def existing_labs(parent: Path) -> tuple[str, ...]:
    """Return the names of all labs below `parent`."""
    return tuple(sorted(directory.name for directory in parent.glob(".lab/*/")))


@contextmanager
def held(paths: LabPaths) -> Iterator[None]:
    """Keep others from changing this lab meanwhile; the system lets go when this process ends, however it ends.

    Raises:
        LabError: another command is changing it, or the directory cannot be made.
    """
    try:
        paths.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The lock is on the directory itself: a lock file in it would be removed with the lab while somebody waits for
        # it.
        handle = os.open(paths.directory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise LabError(f"It cannot be used: {error.strerror}", where=str(paths.directory)) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            hint = "Wait for it, or give this lab another --name"
            raise LabError("Another command is changing this lab", where=str(paths.directory), hint=hint) from error
        yield
    finally:
        os.close(handle)


def forget(paths: LabPaths) -> None:
    """Remove the lab's directory, and `.lab` with the last one. Repeatable.

    Raises:
        LabError: something in it cannot be removed.
    """
    shutil.rmtree(paths.directory, ignore_errors=True)
    if paths.directory.exists():
        raise LabError("It could not be removed entirely", where=str(paths.directory))
    try:
        paths.directory.parent.rmdir()
    except OSError:
        return  # there is another lab


def _host_to_json(host: LabHost) -> dict[str, object]:
    return {"name": host.name, "address": host.address, "variables": dict(host.variables)}
