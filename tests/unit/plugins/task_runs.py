"""Runs tasks in real playbooks against an embedded server, and speaks to that server as agents do."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.model import Agent
from kraken_fleet.reconcile.observe import observe_agents
from kraken_fleet.server.testing import RunningServer
from tests.host_info import DEBIAN

ROOT = Path(__file__).parents[3]


@dataclass
class Stage:
    """A server, and a folder for playbooks and inventories that use it."""

    server: RunningServer
    folder: Path

    @property
    def client(self) -> KrakenClient:
        return KrakenClient(self.server.url, PasswordCredentials(self.server.user, self.server.password))

    def environment(self, **more: str) -> dict[str, str]:
        """The server and its account, as programs take them; nothing of the developer's own."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("KRAKEN_")}
        return {
            **inherited,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "KRAKEN_FLEET_SERVER": self.server.url,
            "KRAKEN_FLEET_USER": self.server.user,
            "KRAKEN_FLEET_PASSWORD": self.server.password,
            **more,
        }

    def play(
        self,
        *tasks: Mapping[str, Any],
        check: bool = False,
        module_defaults: Mapping[str, Any] | None = None,
        **environment: str,
    ) -> list[dict[str, Any]]:
        """Runs tasks one after another, also after one that failed; returns the result of each."""
        answers = self.folder / "answers.json"
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "module_defaults": dict(module_defaults or {}),
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "tasks": [
                *({**task, "register": f"r{i}", "ignore_errors": True} for i, task in enumerate(tasks)),
                {
                    "ansible.builtin.copy": {
                        "dest": str(answers),
                        "content": "{{ [" + ", ".join(f"r{i}" for i in range(len(tasks))) + "] | to_json }}",
                    },
                    "check_mode": False,
                    "diff": False,
                },
            ],
        }
        book = self.folder / "book.yml"
        book.write_text(yaml.safe_dump([play]))
        command = ["ansible-playbook", "--diff", *(["--check"] if check else []), str(book)]
        run = self.run(command, **environment)
        assert run.returncode == 0, run.stdout + run.stderr
        assert self.server.password not in run.stdout + run.stderr
        found: list[dict[str, Any]] = json.loads(answers.read_text())
        return found

    def thrice(self, module: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """One task in check mode, for real, and once more."""
        task = {f"kraken_ci.fleet.{module}": arguments}
        predicted, done, again = self.play({**task, "check_mode": True}, task, task)
        return predicted, done, again

    def run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        program = str(Path(sys.executable).parent / command[0])
        return subprocess.run(
            [program, *command[1:]],
            capture_output=True,
            text=True,
            env=self.environment(**environment),
            cwd=self.folder,
            check=False,
            timeout=300,
        )

    def speak(self, address: str, msg: str = "get-job", **more: object) -> None:
        """One message of an agent, from its own loopback address."""
        parts = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=100, source_address=(address, 0)
        )
        body = json.dumps({"address": address, "msg": msg, **more})
        connection.request("POST", "/backend", body, {"Content-Type": "application/json"})
        assert connection.getresponse().status == 200
        connection.close()

    def agents(self) -> dict[str, Agent]:
        """The server's agents by address."""
        with self.client as client:
            return {agent.address: agent for agent in observe_agents(client)}

    def join(self, address: str, *groups: str, **info: str) -> None:
        """An agent that is let in, has reported its host, and is in these groups."""
        self.speak(address)
        with self.client as client:
            number = next(agent.id for agent in observe_agents(client) if agent.address == address)
            client.set_authorized([number])
            known = {group.name: group.id for group in client.groups()}
            ids = [known[name] if name in known else client.create_group(name).id for name in groups]
            client.set_agent_groups(number, [known["all"], *ids])
        self.speak(address, "host-info", info={**DEBIAN, **info})
