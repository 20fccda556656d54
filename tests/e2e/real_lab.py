"""A lab of Docker hosts with the unmodified Kraken server, driven from outside as a user does: by its commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kraken_fleet.lab.systemd_hosts import HOST_LABEL, LABEL
from tests.json_answers import check_answer

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
COMMAND_SECONDS = 900  # the first time an image is made


@dataclass(frozen=True)
class Recap:
    """What ansible-playbook said at its end, by host."""

    code: int
    changed: dict[str, int]
    unreachable: dict[str, int]
    failed: dict[str, int]
    output: str


class RealLab:
    """One lab in a directory.

    Args:
        parent: the directory that gets `.lab/NAME`.
    """

    def __init__(self, parent: Path, name: str) -> None:
        self.parent = parent
        self.name = name
        self.directory = parent / ".lab" / name

    def up(self, hosts: int, driver: str, server: str) -> None:
        """Make hosts and server, without agents."""
        chosen = ["--hosts", str(hosts), "--driver", driver, "--server", server, "--no-deploy"]
        self.fleet("lab", "up", *chosen, *self.named())

    def down(self) -> None:
        """Remove everything."""
        self.fleet("lab", "down", *self.named())

    def fleet(self, *arguments: str) -> str:
        """A kraken-fleet command that must succeed; what it printed."""
        done = self.attempt(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A kraken-fleet command that may fail."""
        return self._run([str(PROGRAMS / "kraken-fleet"), *arguments])

    def asked(self, *arguments: str) -> Any:
        """The answer of a kraken-fleet command with --json."""
        out = self.fleet(*arguments, "--json")
        check_answer([*arguments, "--json"], out)
        return json.loads(out)["data"]

    def play(self, playbook: str, *arguments: str) -> Recap:
        """Run a playbook of the collection."""
        done = self._run(self.prepared(playbook, *arguments)[0])
        found = RECAP.findall(done.stdout)
        second, third, fourth = ({row[0]: int(row[number]) for row in found} for number in (2, 3, 4))
        return Recap(done.returncode, second, third, fourth, output=done.stdout + done.stderr)

    def prepared(self, playbook: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """The command that runs a playbook of the collection, and its environment."""
        return [str(PROGRAMS / "ansible-playbook"), str(ROOT / "playbooks" / playbook), *arguments], self._environment()

    def on_hosts(self, command: str, limit: str = "all") -> dict[str, str]:
        """What a shell command prints on each host."""
        program = str(PROGRAMS / "ansible")
        done = self._run([program, limit, "-m", "ansible.builtin.shell", "-a", command, "-o"])
        lines = [line.split(" | ", 1) for line in done.stdout.splitlines() if " | " in line]
        return {host: rest.partition("(stdout) ")[2].partition(" (stderr)")[0] for host, rest in lines}

    @property
    def known_hosts(self) -> Path:
        """The keys by which the hosts are known."""
        return self.directory / "hosts" / "ssh" / "known_hosts"

    def addresses(self) -> list[str]:
        """Of the hosts, in their order."""
        return [each["host"]["address"] for each in self.asked("lab", "status", *self.named())["hosts"]]

    def container(self, host: str) -> str:
        """The Docker container that is a host."""
        labels = (f"{LABEL}={self.directory.resolve()}", f"{HOST_LABEL}={host}")
        filters = [word for label in labels for word in ("--filter", f"label={label}")]
        command = ["docker", "ps", "--all", "--format", "{{.Names}}", *filters]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def log_in(self, host: str, *options: str, own_key: bool = True) -> subprocess.CompletedProcess[str]:
        """A new SSH connection with what the inventory says, without the one that Ansible may still hold."""
        inventory = yaml.safe_load((self.directory / "hosts.yml").read_text())
        variables = inventory["kraken_agents"]["hosts"][host]
        command = ["ssh", "-F", "none", "-o", "ControlPath=none", *options]
        command += ["-i", variables["ansible_ssh_private_key_file"]] if own_key else []
        command += [*shlex.split(variables["ansible_ssh_common_args"]), f"root@{variables['ansible_host']}", "true"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KRAKEN_", "ANSIBLE_"))}
        return {**kept, **self.settings(), "ANSIBLE_NOCOLOR": "1"}

    def settings(self) -> dict[str, str]:
        """The variables by which commands find the lab."""
        file = self.directory / "env"
        lines = file.read_text().splitlines() if file.exists() else []
        return dict(shlex.split(line)[1].split("=", 1) for line in lines)

    def named(self) -> list[str]:
        """The options that name this lab."""
        return ["--name", self.name, "--dir", str(self.parent)]


@dataclass(frozen=True)
class LabOptions:
    """What a module of tests wants its lab to be: the fixture `lab` reads the module's constant LAB.

    Args:
        folder: where the lab's directory is made.
    """

    folder: str
    name: str = "hosts"
    hosts: int = 2
    driver: str = "docker"
    server: str = "embedded"


@contextmanager
def real_lab(
    parent: Path, name: str, hosts: int, driver: str = "docker", server: str = "embedded"
) -> Iterator[RealLab]:
    """A lab of bare hosts and a server, of which nothing is left after the block."""
    lab = RealLab(parent, name)
    try:
        lab.up(hosts, driver, server)
        yield lab
    finally:
        lab.down()
