"""What tests of upgrades need: a release that does not work, and a job that takes its time."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kraken_fleet.api import KrakenClient
from kraken_fleet.model import JobState
from tests.stages import shell_job, stage_code
from tests.unique_names import unique_name
from tests.waiting import until

# How long an agent may take for the job that proves it. Also for the release before, when it is back on a busy machine.
VERIFY_SECONDS = 25
_LONGEST_SECONDS = 3000


def release_of(program: str, directory: Path) -> dict[str, object]:
    """A release in a new directory whose kkagent and kktool are this Python program, as variables of the inventory."""
    directory.mkdir()
    for name in ("kkagent", "kktool"):
        (directory / name).write_text(program)
    sha256 = hashlib.sha256(program.encode()).hexdigest()
    return {
        "kraken_agent_bundle": str(directory),
        "kraken_agent_bundle_sha256": {"kkagent": sha256, "kktool": sha256},
    }


def start_long_job(client: KrakenClient, group: str, seconds: int = 12) -> int:
    """Starts a job that lasts so long and returns its run's number once an agent has it."""
    return start_job(client, group, f"sleep {seconds}")


def start_job(client: KrakenClient, group: str, command: str) -> int:
    """Starts a job of a shell command and returns its run's number once an agent has it."""
    project = client.create_project(unique_name("long"))
    branch = client.create_branch(project.id, "main")
    # Without times of their own a job ends after 300 s and a step after 60, while playbooks still look at them.
    step = {"tool": "shell", "cmd": command, "timeout": _LONGEST_SECONDS}
    job = shell_job(group, name="long", timeout=_LONGEST_SECONDS) | {"steps": [step]}
    client.create_stage(branch.id, "sleep", stage_code(job))
    flow = client.start_flow(branch.id)
    run = (flow.runs or client.flow_runs(flow.id))[0].id
    assigned = JobState.ASSIGNED
    until(lambda: any(job.state == assigned for job in client.run_jobs(run)), otherwise="No agent took the job")
    return run
