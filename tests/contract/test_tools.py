"""Tools that users bring: the server has to know their names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.kraken_server import KrakenServer
from tests.contract.records import problem
from tests.contract.workflow import Workflow
from tests.unique_names import unique_name

TOOL = {"description": "mine", "location": "", "entry": "", "parameters": {"properties": {"word": {"type": "string"}}}}


@pytest.fixture
def name() -> str:
    """A tool that nobody else has."""
    return unique_name("tool", "_")


def test_a_tool_gets_a_new_version_unless_one_is_named(server: KrakenServer, name: str) -> None:
    first = server.api("POST", "/tools", {**TOOL, "name": name})
    shown: dict[str, Any] = {"name": name, "description": "mine", "location": "", "entry": ""}
    shown["fields"] = TOOL["parameters"]
    shown |= {"id": first.body["id"], "version": "1", "url": None, "tag": None, "tool_file": None}
    assert (first.status, first.body) == (201, shown)
    second = server.api("POST", "/tools", {**TOOL, "name": name}).body
    assert second["version"] == "2"
    again = server.api("POST", "/tools", {**TOOL, "name": name, "version": "1", "description": "other"}).body
    assert again == {**shown, "description": "other"}


def test_a_step_gets_the_newest_version_or_the_one_that_it_names(server: KrakenServer, name: str) -> None:
    for entry in ("one", "two"):
        server.api("POST", "/tools", {**TOOL, "name": name, "location": "here", "entry": entry})
    workflow = Workflow.made(server)
    workflow.run([{"tool": name}, {"tool": f"{name}@1"}])
    steps = workflow.take_job("get-job")["steps"]
    assert [(step["tool"], step["tool_location"], step["tool_entry"]) for step in steps] == [
        (name, "here", "two"),
        (name, "here", "one"),
    ]


def test_what_is_no_tool_is_refused(server: KrakenServer, name: str) -> None:
    said = server.api("POST", "/tools", {})
    assert (said.status, said.body) == (400, problem(400, "missing name or url in body"))
    for left_out in ("description", "location", "entry", "parameters"):
        incomplete = {key: value for key, value in TOOL.items() if key != left_out}
        assert server.api("POST", "/tools", {"name": name, **incomplete}).status == 500
    assert server.api("POST", "/tools", {**TOOL, "name": name, "parameters": {}}).status == 500
    assert server.api("POST", "/tools", {**TOOL, "name": name}, token=server.plain).status == 403
