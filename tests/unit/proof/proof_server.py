"""A Kraken server's workflows in memory behind a real socket, enough to verify groups on."""

from __future__ import annotations

import ast
from collections.abc import Callable

from tests.unit.api.fake_kraken import FakeKraken
from tests.unit.api.recorded import Reply, Request, group_json, problem

Change = Callable[["ProofServer"], None]


class ProofServer(FakeKraken):
    """Runs the jobs of a stage when told how each group behaves.

    `agents_of` maps a group to the agent that runs its job; a group that is not there has none. `polls` counts how
    often the jobs of a run were asked for. Jobs are over from the second time on, their logs there from the third.
    """

    def __init__(self) -> None:
        super().__init__()
        self.agents_of: dict[str, str] = {}
        self.failing: set[str] = set()
        self.stuck: set[str] = set()
        self.silent: set[str] = set()
        self.projects: list[dict[str, object]] = []
        self.branches: dict[int, dict[str, object]] = {}
        self.refused_projects: set[str] = set()
        self.stage: dict[str, object] | None = None
        self.before_flow: list[Change] = []
        self.polls = 0
        self.run_schema: dict[str, list[dict[str, object]]] = {}
        self.note: str | None = None
        for name in ("gpu", "big"):
            self.add_group(name)

    def add_group(self, name: str, **changes: object) -> None:
        new = max(self.groups) + 1
        self.groups[new] = group_json(new, name, **changes)

    def _authorized(self, request: Request) -> Reply:
        parts = [part for part in request.path.split("/") if part and not part.isdigit()]
        found = getattr(self, f"_{request.method.lower()}_{'_'.join(parts)}", None)
        if parts[0] in ("projects", "branches", "stages", "flows", "runs", "jobs") and found:
            reply: Reply = found(request)
            return reply
        return super()._authorized(request)

    def _get_projects(self, request: Request) -> Reply:
        return Reply(body={"items": self.projects, "total": len(self.projects)})

    def _post_projects(self, request: Request) -> Reply:
        assert isinstance(request.body, dict)
        name = request.body["name"]
        if name in self.refused_projects:
            return problem(400, f"Project with name {name} already exists")
        self.projects.append({"id": len(self.projects) + 1, "name": name, "branches": []})
        return Reply(201, self.projects[-1])

    def _post_projects_branches(self, request: Request) -> Reply:
        assert isinstance(request.body, dict)
        self.branches[1] = {"id": 1, "name": request.body["name"], "project_id": 1}
        self.projects[-1]["branches"] = [self.branches[1]]
        return Reply(201, self.branches[1])

    def _get_branches_cfg(self, request: Request) -> Reply:
        return Reply(body={**self.branches[1], "stages": [self.stage] if self.stage else []})

    def _post_branches_stages(self, request: Request) -> Reply:
        assert isinstance(request.body, dict)
        self.stage = {"id": 4, **request.body}
        return Reply(201, self.stage)

    def _put_stages(self, request: Request) -> Reply:
        assert isinstance(request.body, dict)
        self.stage = {"id": 4, **request.body}
        return Reply(body=self.stage)

    def _post_branches_flows_ci(self, request: Request) -> Reply:
        if self.before_flow:
            self.before_flow.pop(0)(self)
        assert self.stage is not None
        function = ast.parse(str(self.stage["schema_code"])).body[0]
        assert isinstance(function, ast.FunctionDef)
        returned = function.body[0]
        assert isinstance(returned, ast.Return)
        assert returned.value is not None
        self.run_schema = ast.literal_eval(returned.value)
        names = [str(row["name"]) for row in self.groups.values()]
        doubled = [job["name"] for job in self.run_schema["jobs"] if names.count(str(job["name"])) > 1]
        self.note = "Triggering run's jobs failed: Multiple rows were found" if doubled else None
        self.polls = 0
        return Reply(201, {"id": 5, "state": "in-progress", "runs": [self._run()]})

    def _run(self) -> dict[str, object]:
        state = "processed" if self.note else "in-progress"
        return {"id": 6, "stage_id": 4, "flow_id": 5, "state": state, "stage_name": "proof", "note": self.note}

    def _get_runs(self, request: Request) -> Reply:
        return Reply(body=self._run())

    def _delete_runs(self, request: Request) -> Reply:
        return Reply()

    def _get_runs_jobs(self, request: Request) -> Reply:
        self.polls += 1
        jobs = [] if self.note else [self._job(n, job) for n, job in enumerate(self.run_schema["jobs"])]
        return Reply(body={"items": jobs, "total": len(jobs)})

    def _job(self, number: int, job: dict[str, object]) -> dict[str, object]:
        group = str(job["name"])
        row: dict[str, object] = {"id": 100 + number, "name": group, "run_id": 6, "agents_group_name": group}
        agent = self.agents_of.get(group)
        if agent is None:
            notes = f"there are no agents in group '{group}' - add some agents"
            return row | {
                "state": 5,
                "completion_status": 10,
                "agent_id": 0,
                "agent_name": "",
                "notes": notes,
                "steps": [],
            }
        assert isinstance(job["steps"], list)
        over = self.polls > 1 and group not in self.stuck
        status = (3 if group in self.failing else 2) if over else None
        step = {"index": 0, "tool": "shell", "name": job["steps"][0]["cmd"], "status": status}
        end = {"state": 5, "completion_status": 2 if group in self.failing else 0} if over else {"state": 3}
        return row | end | {"agent_id": 1, "agent_name": agent, "steps": [step]}

    def _get_jobs_logs(self, request: Request) -> Reply:
        number = int(request.path.split("/")[2]) - 100
        job = self.run_schema["jobs"][number]
        assert isinstance(job["steps"], list)
        command = job["steps"][0]["cmd"]
        printed = [] if self.polls < 3 or job["name"] in self.silent else [command.removeprefix("echo ") + "\n"]
        origin = {"host": "h", "time": None, "service": "agent", "step": 0}
        lines = [{"message": text, **origin} for text in [f"exec: {command}", *printed]]
        return Reply(body={"items": lines, "total": len(lines)})
