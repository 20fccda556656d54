"""Running a workflow and reading what came of it: projects, branches, stages, flows, runs, jobs, logs.

Paths and parameters come from kraken/server/swagger.yml, what they do from management.py and execution.py, 1.7.36.
"""

from __future__ import annotations

from collections.abc import Mapping

from kraken_fleet.api import decode, shape
from kraken_fleet.api.paging import read_all, read_page, read_pages
from kraken_fleet.api.session import Session
from kraken_fleet.model import Branch, Flow, Job, LogLine, Project, Run, Stage


class WorkflowsCalls:
    """The part of KrakenClient about workflows. Unknown ids are RequestRejectedErrors with status 404."""

    _session: Session

    def projects(self) -> tuple[Project, ...]:
        """Return all projects with their branches, without the branches' stages.

        Raises:
            ServerError: see kraken_fleet.errors; so do all methods here.
        """
        return self._session.request("GET", "/projects").decoded(shape.items_of(decode.project))

    def create_project(self, name: str, description: str = "") -> Project:
        """Create a project. A taken name is a RequestRejectedError, also when a deleted project has it."""
        body = {"name": name, "description": description}
        return self._session.request("POST", "/projects", body=body).decoded(decode.project)

    def create_branch(self, project_id: int, name: str) -> Branch:
        body = {"name": name}
        return self._session.request("POST", f"/projects/{project_id}/branches", body=body).decoded(decode.branch)

    def branch(self, branch_id: int) -> Branch:
        """Return one branch with its living stages."""
        return self._session.request("GET", f"/branches/{branch_id}/cfg").decoded(decode.branch)

    def create_stage(self, branch_id: int, name: str, schema_code: str) -> Stage:
        """Add a stage to a branch.

        Args:
            schema_code: `def stage(ctx): return {...}`; it is refused when it names an agents group that is not there.
        """
        body = {"name": name, "schema_code": schema_code}
        return self._session.request("POST", f"/branches/{branch_id}/stages", body=body).decoded(decode.stage)

    def update_stage(self, stage_id: int, name: str, schema_code: str) -> Stage:
        """Give a stage another name or schema; when it is refused, the stage keeps what it had."""
        body = {"name": name, "schema_code": schema_code}
        return self._session.request("PUT", f"/stages/{stage_id}", body=body).decoded(decode.stage)

    def start_flow(self, branch_id: int, kind: str = "ci", *, args: Mapping[str, object] | None = None) -> Flow:
        """Start every enabled stage of a branch that has no parent.

        Args:
            kind: `ci` or `dev`.
            args: values for the stages' parameters, by stage name; those for all stages under `Common`.
        """
        body = {"args": dict(args)} if args else {}
        return self._session.request("POST", f"/branches/{branch_id}/flows/{kind}", body=body).decoded(decode.flow)

    def flows(self, branch_id: int, kind: str = "ci", *, limit: int = 20) -> tuple[Flow, ...]:
        """Return the newest flows of a branch with their runs, newest first."""
        path = f"/branches/{branch_id}/flows/{kind}"
        return read_page(self._session, path, decode.flow, start=0, limit=limit).items

    def flow(self, flow_id: int) -> Flow:
        return self._session.request("GET", f"/flows/{flow_id}").decoded(decode.flow)

    def flow_runs(self, flow_id: int) -> tuple[Run, ...]:
        """Return the runs of a flow. The server sends them as a bare list, without pages."""
        return self._session.request("GET", f"/flows/{flow_id}/runs").decoded(shape.list_of(decode.run))

    def run(self, run_id: int) -> Run:
        return self._session.request("GET", f"/runs/{run_id}").decoded(decode.run)

    def cancel_run(self, run_id: int) -> None:
        """End the jobs of a run that are not over."""
        self._session.request("DELETE", f"/runs/{run_id}")

    def run_jobs(self, run_id: int) -> tuple[Job, ...]:
        """Return the jobs of a run, without those that a rerun has replaced."""
        return read_all(self._session, f"/runs/{run_id}/jobs", decode.job)

    def job(self, job_id: int) -> Job:
        return self._session.request("GET", f"/jobs/{job_id}").decoded(decode.job)

    def cancel_job(self, job_id: int) -> None:
        """End a job; one that is over stays as it is."""
        self._session.request("DELETE", f"/jobs/{job_id}")

    def logs(
        self, *, agent_id: int | None = None, run_id: int | None = None, job_id: int | None = None, limit: int = 200
    ) -> tuple[LogLine, ...]:
        """Return the last lines of the server's whole log about an agent, a run or a job, oldest first.

        Args:
            limit: how many at most.
        """
        about = {"agent_id": agent_id, "run_id": run_id, "job_id": job_id}
        params: dict[str, str | int] = {name: value for name, value in about.items() if value is not None}
        params["order"] = "desc"
        page = read_page(self._session, "/logs", decode.log_line, start=0, limit=limit, params=params)
        return page.items[::-1]

    def job_log(self, job_id: int) -> tuple[LogLine, ...]:
        """Return what a job's steps have printed so far. Lines travel by UDP: they come late, and may never come.

        Records of Kraken's own agent name no tool, and the server leaves those out unless it is asked for all
        (get_job_logs in kraken/server/execution.py, 1.7.36). What server and agent say of themselves has no step.
        """
        params = {"order": "asc", "internals": "true"}
        pages = read_pages(self._session, f"/jobs/{job_id}/logs", decode.log_line, params=params)
        return tuple(line for page in pages for line in page.items if _of_step(line))


def _of_step(line: LogLine) -> bool:
    return line.service == "agent" and line.step is not None and line.step >= 0
