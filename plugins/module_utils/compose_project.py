"""Looks at a Docker Compose project on the host it runs on, and changes it. Standard library only, Python >= 3.8."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from typing import Dict, List, Optional, Sequence


class ComposeError(Exception):
    """A command failed; says which, and the end of its output."""


def compose_command() -> List[str]:
    """Find `docker compose`, or the older `docker-compose` when the plugin is missing.

    Raises:
        ComposeError: neither works.
    """
    for command in (["docker", "compose"], ["docker-compose"]):
        try:
            done = subprocess.run([*command, "version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return command
    raise ComposeError("Neither 'docker compose' nor 'docker-compose' works on this host: install one of them")


def run(command: Sequence[str], cwd: Optional[str] = None) -> str:
    """Run a command and return its output.

    Raises:
        ComposeError: it failed.
    """
    try:
        done = subprocess.run(
            command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, check=False
        )
    except OSError as error:
        raise ComposeError("%s: %s" % (command[0], error.strerror)) from error
    if done.returncode:
        last_words = (done.stderr or done.stdout).strip()[-600:]
        raise ComposeError("%s failed: %s" % (" ".join(command[:3]), last_words))
    return done.stdout


def read_text(path: str, optional: bool = False) -> str:
    """Read a text file.

    Args:
        optional: return an empty text for one that cannot be read.

    Raises:
        ComposeError: it cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        if optional:
            return ""
        raise ComposeError("%s cannot be read: %s" % (path, error.strerror)) from error


def digest(path: str) -> str:
    """Return the sha256 of a text file, as of an empty one when there is none."""
    return hashlib.sha256(read_text(path, optional=True).encode()).hexdigest()


def subnets() -> Dict[str, str]:
    """Return the first IPv4 subnet of every network of the engine, by network name."""
    names = run(["docker", "network", "ls", "--format", "{{.Name}}"]).split()
    found: Dict[str, str] = {}
    for network in json.loads(run(["docker", "network", "inspect", *names])) if names else []:
        for entry in (network.get("IPAM") or {}).get("Config") or []:
            if "." in entry.get("Subnet", ""):
                found.setdefault(network["Name"], entry["Subnet"])
    return found


def write_atomically(path: str, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    descriptor, fresh = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".compose-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(fresh, 0o600)  # agents' variables may be secret
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise


class Project:
    """A compose project with an override file of ours.

    Args:
        compose_file: the user's, never written.
        override_file: ours; it need not be there.
        env_file: empty for none.
        drain_seconds: how long a container may take to stop, so that its job can end.
    """

    def __init__(self, compose_file: str, override_file: str, env_file: str, drain_seconds: int) -> None:
        self.directory = os.path.dirname(compose_file)
        self.override_file = override_file
        self._compose_file = compose_file
        self._options = ["--env-file", env_file] if env_file else []
        self._patience = ["--timeout", str(drain_seconds)]

    def compose(self, *arguments: str) -> str:
        """Run a compose command over the files that exist and return its output."""
        files = [self._compose_file] + ([self.override_file] if os.path.isfile(self.override_file) else [])
        named = [part for file in files for part in ("-f", file)]
        return run([*compose_command(), *self._options, *named, *arguments], self.directory)

    def running_services(self) -> List[str]:
        return sorted(self.compose("ps", "--services", "--filter", "status=running").split())

    def take_out(self, services: Sequence[str]) -> None:
        """Stop and remove the containers of these services, and no others."""
        if services:
            self.compose("stop", *self._patience, *services)
            self.compose("rm", "--force", *services)

    def start(self, services: Sequence[str]) -> None:
        """Start these services, and recreate those whose definition has changed."""
        if services:
            self.compose("up", "--detach", "--no-deps", *self._patience, *services)

    def refuse_other_services(self, project: str) -> None:
        """Refuse to continue when services of other compose files run, which would not come up again.

        Raises:
            ComposeError: there are some.
        """
        label = "com.docker.compose.service"
        chosen = ["--filter", "label=com.docker.compose.project=%s" % project, "--format", '{{.Label "%s"}}' % label]
        others = set(run(["docker", "ps", *chosen]).split()) - set(self.compose("config", "--services").split())
        if others:
            raise ComposeError(
                "The project must go down, and it runs %s from other compose files, which would not come up again. "
                "Nothing was stopped. Take them down first" % ", ".join(sorted(others))
            )

    def start_anew(self, network: str) -> None:
        """Take everything down, remove the network, and bring everything up."""
        self.compose("down")
        if network in run(["docker", "network", "ls", "--format", "{{.Name}}"]).split():
            run(["docker", "network", "rm", network])
        self.compose("up", "--detach")
