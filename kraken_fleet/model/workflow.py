"""Projects, branches, stages and flows: what has to be there before a job can run."""

from __future__ import annotations

from dataclasses import dataclass

from kraken_fleet.model.job import Run


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a branch. `schema_code` is the text of its `def stage(ctx)`."""

    id: int
    name: str
    schema_code: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch. `stages` is filled only when the branch was asked for by itself."""

    id: int
    name: str
    project_id: int | None = None
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True)
class Project:
    id: int
    name: str
    branches: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """One execution of a branch: a run for every stage that starts. `state` is `in-progress` or `completed`."""

    id: int
    label: str = ""
    state: str = ""
    kind: str = "ci"
    branch_id: int | None = None
    runs: tuple[Run, ...] = ()
