"""A Windows host that is played, see fake_windows_host.py, and the plays over it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
NAMES = ("acl", "acl_inheritance", "copy", "file", "package", "powershell", "regedit", "service")
KEY = "HKLM:\\SYSTEM\\CurrentControlSet\\Services\\kraken-agent\\Parameters"
EMPTY: dict[str, Any] = {
    "address": "127.0.99.1",
    "programs": ["python", "git"],
    "directories": [],
    "files": {},
    "services": {},
    "registry": {},
    "rights": {},
    "locks": {},
}
RECAP = re.compile(r"^win-1 +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=(\d+)", re.MULTILINE)


@dataclass
class Windows:
    """One host in an inventory, and the server that has an agent for it."""

    folder: Path
    served: Path
    server_url: str
    variables: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "state.json").read_text()))

    def become(self, **state: Any) -> None:
        """The host as it is from now on."""
        (self.folder / "state.json").write_text(json.dumps({**self.state, **state}))

    @property
    def settings(self) -> dict[str, Any]:
        """What NSSM reads."""
        return dict(self.state["registry"][KEY])

    @property
    def releases(self) -> list[str]:
        """What is below the directory `versions`."""
        versions = "C:\\kraken\\versions\\"
        return [path.removeprefix(versions) for path in self.state["directories"] if path.startswith(versions)]

    @property
    def release(self) -> str:
        """The one that the service runs."""
        return str(self.settings["AppParameters"].split("\\")[-2])

    def play(
        self,
        role: str = "kraken_agent",
        *more: str,
        fails: bool = False,
        ignore_errors: bool = False,
        task: dict[str, Any] | None = None,
        **variables: Any,
    ) -> tuple[int, str]:
        """Runs a role, or a task; how many tasks have changed something, and everything that was said."""
        book, inventory = self.folder / "book.yml", self.folder / "hosts.yml"
        given = task or {"ansible.builtin.import_role": {"name": f"kraken_ci.fleet.{role}"}}
        told = {"ansible.builtin.debug": {"msg": "{{ __kraken_agent_host | default({}) }}"}}
        play = {"hosts": "all", "gather_facts": False, "tasks": [{**given, "ignore_errors": ignore_errors}, told]}
        book.write_text(yaml.safe_dump([play]))
        found = {
            "ansible_connection": "winrm",
            "kraken_agent_server_url": self.server_url,
            **self.variables,
            **variables,
        }
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"win-1": found}}}))
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), *more, str(book)],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_COLLECTIONS_PATH": f"{self.folder / 'simulated'}:{ROOT / 'collections'}",
                "ANSIBLE_NOCOLOR": "1",
                "SIMULATED_WINDOWS": str(self.folder / "state.json"),
                "XDG_CACHE_HOME": str(self.folder / "cache"),
            },
            check=False,
            timeout=300,
        )
        match = RECAP.search(done.stdout)
        assert match, done.stdout + done.stderr
        assert bool(done.returncode) is (fails and not ignore_errors), done.stdout + done.stderr
        return int(match[1]), done.stdout

    def serve(self, **files: bytes) -> None:
        """What the server gives to agents from now on."""
        for name, content in files.items():
            (self.served / name).write_bytes(content)
