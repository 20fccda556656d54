"""One systemd host of a lab with an agent on it: what runs there, and jobs for it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.lab.systemd_hosts import LABEL
from kraken_fleet.model import Job
from tests.e2e.real_lab import RealLab, Recap
from tests.stages import shell_job, stage_code
from tests.unique_names import unique_name
from tests.waiting import eventually, until

UNIT = "kraken-agent"
GROUP = "on-systemd"


class SystemdHost:
    """The host.

    Args:
        lab: a lab of one host, which is up.
    """

    def __init__(self, lab: RealLab) -> None:
        self._lab = lab
        query = ["docker", "ps", "-q", "--filter", f"label={LABEL}={lab.directory.resolve()}"]
        self._container = subprocess.run(query, check=True, capture_output=True, text=True).stdout.strip()
        settings = lab.settings()
        self._url, self._user = settings["KRAKEN_FLEET_SERVER"], settings["KRAKEN_FLEET_USER"]
        self._password = Path(settings["KRAKEN_FLEET_PASSWORD_FILE"]).read_text().strip()
        self.client = KrakenClient(self._url, PasswordCredentials(self._user, self._password))

    def deploy(self, **variables: Any) -> Recap:
        """Bring the agent into the state that these variables describe; proof by jobs is the tests' own business."""
        done = self.try_to_deploy(**variables)
        assert done.code == 0, done.output
        return done

    def try_to_deploy(self, **variables: Any) -> Recap:
        """The same, however it ends."""
        given = {"kraken_verify_enabled": False, "kraken_agent_groups": [GROUP], **variables}
        return self._lab.play("deploy-agents.yml", "-e", json.dumps(given))

    def remove(self, **variables: Any) -> Recap:
        """Remove the agent from host and server."""
        done = self._lab.play("remove-agents.yml", "-e", json.dumps(variables))
        assert done.code == 0, done.output
        return done

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """A shell command as root."""
        words = ["docker", "exec", self._container, "sh", "-c", command]
        return subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)

    def out(self, command: str) -> str:
        """What a command that must succeed prints."""
        done = self.run(command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def property(self, name: str) -> str:
        """What systemd says of the agent's unit."""
        return self.out(f"systemctl show --value --property={name} {UNIT}")

    def gateway(self) -> str:
        """This machine as the host sees it."""
        return self.out("ip route show default").split()[2]

    def log_address(self) -> str:
        """Where the lab's embedded server takes log lines, as the host sees it."""
        ready = json.loads((self._lab.directory / "server" / "ready.json").read_text())
        return f"{self.gateway()}:{ready['log_addr'].rpartition(':')[2]}"

    def start(self, *steps: str) -> int:
        """Start a job of shell commands; returns the number of its run."""
        project = self.client.create_project(unique_name())
        branch = self.client.create_branch(project.id, "main")
        self.client.create_stage(branch.id, "s", stage_code(shell_job(GROUP, *steps, timeout=300)))
        flow = self.client.start_flow(branch.id)
        return (flow.runs or self.client.flow_runs(flow.id))[0].id

    def finish(self, run: int) -> Job:
        """The run's job, when it is over."""
        until(lambda: any(job.over for job in self.client.run_jobs(run)), otherwise="the job did not end")
        return self.client.job(self.client.run_jobs(run)[0].id)

    def job(self, *steps: str) -> Job:
        """Run a job to its end."""
        return self.finish(self.start(*steps))

    def printed(self, job: Job, wanted: str = "") -> list[str]:
        """What the job's steps printed, once `wanted` is among it: lines travel by UDP."""

        def lines() -> list[str]:
            return [line.message for line in self.client.job_log(job.id)]

        return eventually(lines, lambda found: wanted in "\n".join(found))

    def result(self, job: Job, step: int = 0) -> dict[str, Any]:
        """What the agent reported of a step."""
        login = {"user": self._user, "password": self._password}
        token = requests.post(f"{self._url}/api/sessions", json=login, timeout=60).json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        shown = requests.get(f"{self._url}/api/jobs/{job.id}", headers=headers, timeout=60).json()
        return dict(shown["steps"][step]["result"])

    def await_agent(self) -> int:
        """The agent's process id once the service runs and is idle."""
        until(lambda: self.property("ActiveState") == "active", otherwise="the service is not active")
        return int(self.property("MainPID"))
