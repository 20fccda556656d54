"""The workflow behind a verification: a project with one branch and one stage that has a job for each agents group."""

from __future__ import annotations

import pprint
from collections.abc import Sequence

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import RequestRejectedError, VerificationError
from kraken_fleet.model import Branch, Project

# A server goes on refusing the name of a deleted project (create_project in kraken/server/management.py, 1.7.36).
PROJECTS = ("kraken-fleet", "kraken-fleet-2", "kraken-fleet-3")
STAGE = "proof"
_DESCRIPTION = "Proves that the agents of each agents group run jobs; kept by kraken-fleet"
_MARK = "kraken-fleet-proof-"
_JOB_TIMEOUT = 60  # seconds; the server raises anything below to this


def mark(marker: str) -> str:
    """Return the line that a job of this verification prints."""
    return _MARK + marker


def stage_code(groups: Sequence[str], marker: str) -> str:
    """Return the stage in Kraken's format: a function that returns nothing but literals.

    One job for each group, so that one run proves them all; each job is called like its group.
    """
    schema = {
        "parent": "root",
        "triggers": {"parent": True},
        "parameters": [],
        "configs": [],
        "jobs": [
            {
                "name": group,
                "timeout": _JOB_TIMEOUT,
                "steps": [{"tool": "shell", "cmd": f"echo {mark(marker)}"}],
                "environments": [{"system": "any", "agents_group": group, "config": "default"}],
            }
            for group in groups
        ],
    }
    return f"def stage(ctx):\n    return {pprint.pformat(schema, width=100, sort_dicts=False)}\n"


def prepare_stage(client: KrakenClient, groups: Sequence[str], marker: str, branch_name: str) -> tuple[int, int]:
    """Make sure that project, branch and stage exist and that the stage has a job for each group.

    Returns:
        the ids of branch and stage.

    Raises:
        VerificationError: no project can be had.
        ServerError: see kraken_fleet.errors.
    """
    branch = _branch(client, _project(client), branch_name)
    code = stage_code(groups, marker)
    for stage in client.branch(branch.id).stages:
        if stage.name == STAGE:
            return branch.id, client.update_stage(stage.id, STAGE, code).id
    return branch.id, client.create_stage(branch.id, STAGE, code).id


def _project(client: KrakenClient) -> Project:
    for name in PROJECTS:
        # Read again each time: whoever verifies at the same moment may have created it after our last reading.
        found = {project.name: project for project in client.projects()}
        for known in PROJECTS:
            if known in found:
                return found[known]
        try:
            return client.create_project(name, _DESCRIPTION)
        except RequestRejectedError:
            continue  # a deleted project has the name, or somebody has created it just now
    raise VerificationError(
        f"None of the projects {', '.join(PROJECTS)} can be created",
        where=client.url,
        hint="Deleted projects keep their names: free one of them in the server's database",
    )


def _branch(client: KrakenClient, project: Project, name: str) -> Branch:
    found = [branch for branch in project.branches if branch.name == name]
    return found[0] if found else client.create_branch(project.id, name)
