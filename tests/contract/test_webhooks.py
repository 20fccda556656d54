"""GitHub's webhooks: who may send them, and what agents are told of them."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
import requests

from tests.contract.kraken_server import TIMEOUT, KrakenServer
from tests.contract.records import problem
from tests.contract.workflow import Workflow, schema
from tests.waiting import eventually

REPOSITORY = "https://git.example/group/project.git"
SECRET = "of-the-project"
PUSH = {
    "ref": "refs/heads/main",
    "before": "0" * 40,
    "after": "1" * 40,
    "repository": {"clone_url": REPOSITORY},
    "pusher": {"name": "somebody"},
    "commits": [{"id": "1" * 40}],
}
PULL_REQUEST = {
    "action": "opened",
    "pull_request": {
        "base": {"ref": "main", "sha": "2" * 40},
        "head": {"ref": "mine", "sha": "3" * 40},
        "commits": 1,
        "number": 7,
    },
    "repository": {"clone_url": REPOSITORY},
    "sender": {"login": "somebody"},
}
GIT = {"tool": "git", "checkout": "http://git.example/group/project.git"}


@pytest.fixture
def workflow(server: KrakenServer) -> Workflow:
    """Everything of the test's own, with webhooks allowed."""
    made = Workflow.made(server)
    allow(made, github_enabled=True, github_secret=SECRET)
    return made


def allow(workflow: Workflow, **webhooks: object) -> None:
    said = workflow.server.api("PUT", f"/projects/{workflow.project['id']}", {"webhooks": webhooks})
    assert (said.status, said.body["webhooks"]) == (200, webhooks)


def hook(
    workflow: Workflow,
    event: str,
    said: object,
    *,
    signed_with: str = SECRET,
    prefix: str = "",
    project: int = 0,
    **headers: str,
) -> requests.Response:
    """Send a webhook as GitHub does."""
    raw = json.dumps(said).encode()
    headers["X-GitHub-Event"] = event
    if signed_with:
        headers["X-Hub-Signature"] = "sha1=" + hmac.new(signed_with.encode(), raw, hashlib.sha1).hexdigest()
    url = f"{workflow.server.url}{prefix}/webhooks/{project or workflow.project['id']}/github"
    return requests.post(url, data=raw, headers={"Content-Type": "application/json", **headers}, timeout=TIMEOUT)


def stage(workflow: Workflow) -> None:
    """A stage that checks the repository out."""
    path = f"/branches/{workflow.branch['id']}/stages"
    made = workflow.server.api("POST", path, {"name": "s", "schema_code": schema(workflow.group, [GIT])})
    assert made.status == 201, made.body


def first_flow(workflow: Workflow, kind: str) -> None:
    """A branch's first flow is made by hand: it is not told of a trigger. It has no stage yet, so it is over."""
    assert workflow.server.api("POST", f"/branches/{workflow.branch['id']}/flows/{kind}", {}).status == 201


def flows(workflow: Workflow, kind: str) -> list[dict[str, Any]]:
    return list(workflow.server.api("GET", f"/branches/{workflow.branch['id']}/flows/{kind}").body["items"])


@pytest.mark.parametrize("prefix", ["", "/bk"])
def test_a_push_runs_a_stage_of_its_repository_and_the_agent_is_told_the_commit(
    workflow: Workflow, prefix: str
) -> None:
    first_flow(workflow, "ci")
    stage(workflow)
    said = hook(workflow, "push", PUSH, prefix=prefix)
    assert (said.status_code, said.text) == (204, "")
    told = [{name: PUSH[name] for name in ("ref", "before", "after", "pusher", "commits")}]
    told[0] |= {"trigger": "github-push", "repo": REPOSITORY}
    assert workflow.take_job("get-job")["trigger_data"] == told
    assert workflow.take_job()["trigger_data"] == told
    step = workflow.tell("get-job-step")["job_step"]
    assert (step["trigger_data"], step["http_url"]) == (told, REPOSITORY)
    (flow,) = flows(workflow, "ci")
    assert (flow["trigger"], flow["runs"][0]["reason"]) == (told[0], "github push")


def test_the_next_push_makes_a_flow_of_its_own(workflow: Workflow) -> None:
    first_flow(workflow, "ci")
    stage(workflow)
    assert hook(workflow, "push", PUSH).status_code == 204
    eventually(lambda: flows(workflow, "ci"), lambda found: bool(found[0]["runs"]))
    assert hook(workflow, "push", {**PUSH, "after": "4" * 40}).status_code == 204
    found = eventually(lambda: flows(workflow, "ci"), lambda found: len(found) == 2 and bool(found[0]["runs"]))
    assert [flow["trigger"]["after"][0] for flow in found] == ["4", "1"]


def test_a_pull_request_runs_in_the_flows_for_development(workflow: Workflow) -> None:
    first_flow(workflow, "dev")
    stage(workflow)
    assert hook(workflow, "pull_request", PULL_REQUEST).status_code == 204
    (told,) = workflow.take_job()["trigger_data"]
    assert (told["before"], told["after"], told["repo"]) == ("2" * 40, "3" * 40, REPOSITORY)
    assert flows(workflow, "dev")[0]["runs"][0]["reason"] == "github pull request"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("star", {}),
        ("pull_request", {**PULL_REQUEST, "action": "closed"}),
        ("push", {**PUSH, "ref": "refs/heads/nowhere"}),
    ],
)
def test_what_is_of_no_interest_is_taken_and_starts_nothing(workflow: Workflow, event: str, said: object) -> None:
    first_flow(workflow, "ci")
    answer = hook(workflow, event, said)
    assert (answer.status_code, answer.text) == (204, "")
    assert len(flows(workflow, "ci")) == 1


def test_a_webhook_must_be_signed_with_the_projects_secret(workflow: Workflow) -> None:
    for wrong, words in (
        ({"signed_with": "another"}, "Invalid signature"),
        (
            {"signed_with": "", "X-Hub-Signature": "nonsense"},
            "Invalid signature",
        ),
        ({"signed_with": ""}, "missing signature in request header"),
    ):
        answer = hook(workflow, "push", PUSH, **wrong)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()) == (400, problem(400, words))


def test_a_webhook_that_nobody_allowed_or_that_says_nothing_is_refused(workflow: Workflow) -> None:
    answer = hook(workflow, "push", PUSH, project=999999999)
    assert (answer.status_code, answer.json()) == (400, problem(400, "Invalid project id"))
    assert hook(workflow, "push", {}).status_code == 500
    assert hook(workflow, "push", []).status_code == 500
    allow(workflow)
    answer = hook(workflow, "push", PUSH)
    assert (answer.status_code, answer.json()) == (400, problem(400, "webhooks from github disabled"))
    url = f"{workflow.server.url}/webhooks/{workflow.project['id']}/github"
    answer = requests.post(url, json=PUSH, timeout=TIMEOUT)
    assert (answer.status_code, answer.json()) == (400, problem(400, "missing github event type in request header"))
    assert workflow.server.api("PUT", "/projects/999999999", {"webhooks": {}}).status == 404
