"""Tools of users: registered, uploaded, listed, and downloaded by agents."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import pytest
import requests

from tests.unit.server.conftest import Api, HandAgent, job_spec
from tests.waiting import eventually

META = {
    "name": "greeter",
    "description": "Greets.",
    "location": "",
    "entry": "greeter",
    "parameters": {"properties": {}},
}


def packed() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("greeter.py", "def run(step):\n    return 0, ''\n")
    return content.getvalue()


def upload(api: Api, content: bytes, *, meta: str = json.dumps(META), name: str = "greeter") -> requests.Response:
    files: dict[str, tuple[str | None, str | bytes, str]] = {
        "meta": (None, meta, "application/json"),
        "file": ("tool.zip", content, "application/zip"),
    }
    return api.http.post(f"{api.url}/bk/api/tools/{name}/zip", files=files, timeout=60)


def test_each_tool_is_listed_once_with_its_newest_version(api: Api) -> None:
    for _ in range(2):
        assert api.call("POST", "/api/tools", {**META, "name": "listed"}).status_code == 201
    found = {tool["name"]: tool["version"] for tool in api.get("/tools?limit=100")["items"]}
    assert found["listed"] == "2"
    assert found["shell"] == "1"
    assert [tool["version"] for tool in api.get("/tools/listed")["items"]] == ["2", "1"]


def test_tools_come_in_pages_and_in_the_wanted_order(api: Api) -> None:
    page = api.get("/tools?start=0&limit=3&sort_field=name&sort_dir=desc")
    names = [tool["name"] for tool in api.get("/tools?limit=100")["items"]]
    assert [tool["name"] for tool in page["items"]] == sorted(names, reverse=True)[:3]
    assert page["total"] == len(names)


def test_an_uploaded_tool_is_kept_under_the_digest_of_its_content(api: Api) -> None:
    content = packed()
    answer = upload(api, content)
    assert answer.status_code == 201
    path = f"/bk/install/tools/{hashlib.sha256(content).hexdigest()}.zip"
    assert answer.json()["location"] == path
    assert requests.get(api.url + path, timeout=60).content == content


def test_a_step_with_an_uploaded_tool_tells_the_agent_where_the_server_has_it(api: Api) -> None:
    location = upload(api, packed(), meta=json.dumps({**META, "name": "told"}), name="told").json()["location"]
    agent = HandAgent(api).enrol(api.group("uploaded-tools"))
    api.start([job_spec({"tool": "told"}, group="uploaded-tools")])
    eventually(agent.job)
    step = agent.say("get-job-step")["job_step"]
    assert step["tool_location"] == api.get("/settings")["general"]["server_url"] + location


@pytest.mark.parametrize(
    ("meta", "content", "detail"),
    [
        ("{", packed(), "meta is not valid JSON"),
        ('{"name": NaN}', packed(), "meta is not valid JSON"),
        ('{"name": 18446744073709551616}', packed(), "A number is larger than can be kept"),
        ("[" * 100 + "]" * 100, packed(), "The JSON is nested deeper than 64 levels"),
        ("[]", packed(), "[] is not of type 'object'"),
        ('{"name": "other"}', packed(), "Name in description (other) does not match name in url (greeter)"),
        (json.dumps(META), b"no zip", "file is not a zip file"),
    ],
)
def test_what_cannot_be_uploaded(api: Api, meta: str, content: bytes, detail: str) -> None:
    answer = upload(api, content, meta=meta)
    assert (answer.status_code, answer.json()["detail"]) == (400, detail)


def test_no_other_file_of_the_server_can_be_downloaded(api: Api) -> None:
    for name in ("..%2Fserver.sqlite", "server.sqlite", "x" * 64 + ".zip"):
        assert requests.get(f"{api.url}/install/tools/{name}", timeout=60).status_code == 404


def test_the_workflow_schema_has_each_tool_and_the_fields_of_registered_ones(api: Api) -> None:
    parameters = {"properties": {"greeting": {"type": "string"}}, "required": ["greeting"]}
    api.call("POST", "/api/tools", {**META, "name": "schemed", "parameters": parameters})
    jobs = api.get("/workflow-schema")["properties"]["jobs"]["items"]["properties"]
    steps = {step["properties"]["tool"]["const"]: step for step in jobs["steps"]["items"]["oneOf"]}
    assert {"shell", "shell@1", "schemed", "schemed@1"} <= set(steps)
    assert steps["schemed"]["required"] == ["tool", "greeting"]
    assert steps["schemed"]["properties"]["greeting"] == {"type": "string"}
    assert (steps["schemed"]["additionalProperties"], steps["shell"]["additionalProperties"]) == (False, True)
