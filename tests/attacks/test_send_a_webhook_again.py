"""Somebody without the secret, or with an old delivery, wants builds to start."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest
import requests

from tests.unit.server.conftest import Api, job_spec

SECRET = "s3cret"
PUSH = {
    "ref": "refs/heads/main",
    "before": "0" * 40,
    "after": "1" * 40,
    "repository": {"clone_url": "https://git.example/r"},
    "pusher": {},
    "commits": [],
}


@pytest.fixture
def stage(api: Api) -> dict[str, Any]:
    return api.stage([job_spec()])


def hook(
    api: Api, stage: dict[str, Any], said: object, delivery: str, secret: str = SECRET, kind: str = "sha256"
) -> int:
    raw = json.dumps(said).encode()
    name = {"sha256": "X-Hub-Signature-256", "sha1": "X-Hub-Signature"}[kind]
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": delivery, "Content-Type": "application/json"}
    if secret:
        headers[name] = f"{kind}={hmac.new(secret.encode(), raw, kind).hexdigest()}"
    url = f"{api.url}/webhooks/{stage['project']}/github"
    return requests.post(url, data=raw, headers=headers, timeout=60).status_code


def allow(api: Api, stage: dict[str, Any], **webhooks: object) -> None:
    assert api.call("PUT", f"/api/projects/{stage['project']}", {"webhooks": webhooks}).status_code == 200


def flows(api: Api, stage: dict[str, Any]) -> int:
    return int(api.get(f"/branches/{stage['branch']}/flows/ci")["total"])


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_no_delivery_is_taken(api: Api, stage: dict[str, Any], secret: str | None) -> None:
    allow(api, stage, github_enabled=True, github_secret=secret)
    for given in ("", "s3cret", "None"):
        assert hook(api, stage, PUSH, "1", given) == 400
    assert flows(api, stage) == 0


@pytest.mark.parametrize("kind", ["sha1", "sha256"])
def test_a_delivery_counts_once(api: Api, stage: dict[str, Any], kind: str) -> None:
    allow(api, stage, github_enabled=True, github_secret="s3cret")
    assert [hook(api, stage, PUSH, "1", kind=kind) for _ in range(3)] == [204] * 3
    assert hook(api, stage, PUSH, "another id", kind=kind) == 204  # the id is not signed
    assert hook(api, stage, {**PUSH, "after": "2" * 40}, "1", kind=kind) == 204
    assert flows(api, stage) == 1
    assert hook(api, stage, {**PUSH, "after": "3" * 40}, "3", kind=kind) == 204
    assert flows(api, stage) == 2


def test_a_delivery_with_a_wrong_signature_is_not_remembered(api: Api, stage: dict[str, Any]) -> None:
    allow(api, stage, github_enabled=True, github_secret="s3cret")
    assert hook(api, stage, PUSH, "1", "wrong") == 400
    assert hook(api, stage, PUSH, "1") == 204
    assert flows(api, stage) == 1


@pytest.mark.parametrize("said", [{**PUSH, "commits": [1e999]}, {**PUSH, "ref": "\ud800"}])
def test_a_signed_delivery_that_cannot_be_kept_is_refused(api: Api, stage: dict[str, Any], said: object) -> None:
    allow(api, stage, github_enabled=True, github_secret="s3cret")
    assert hook(api, stage, said, "1") in (400, 500)
    assert flows(api, stage) == 0
