"""Stages are read, never run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kraken_fleet.server.flows.expressions import ExpressionError, evaluate_text
from kraken_fleet.server.flows.stage_code import StageError, read_stage
from kraken_fleet.server.store.default_stage import DEFAULT_CODE, default_schema

from ..conftest import Api

CTX = {"is_ci": True, "branch_name": "main", "args": {"N": "2"}, "env": {"A": "b"}}
JOB = (
    '{"name": "j", "steps": [{"tool": "shell", "cmd": "x"}],'
    ' "environments": [{"system": "any", "agents_group": "all"}]}'
)


def stage(body: str) -> str:
    return "def stage(ctx):\n" + "".join(f"    {line}\n" for line in body.splitlines())


def test_the_default_stage_is_complete() -> None:
    schema = read_stage(DEFAULT_CODE, CTX)
    assert (schema["parent"], schema["triggers"], schema["jobs"][0]["name"]) == (
        "root",
        {"parent": True},
        "hello world",
    )
    assert schema == default_schema(), "the demo project has the same without reading it"


def test_what_is_left_out_gets_its_default() -> None:
    expected = {"parent": "root", "triggers": {"parent": True}, "parameters": [], "configs": [], "jobs": []}
    assert read_stage(stage("return {}"), CTX) == expected


def test_names_conditions_fields_and_sums_work() -> None:
    body = f"""'''What it is for.'''
job = {JOB}
extra = [] if not ctx.is_ci else [{{"name": f"on {{ctx.branch_name}}", "steps": [], "environments": []}}]
return {{"jobs": [job] + extra, "run_label": ctx.env.get("A", "?") + ctx["args"]["N"], "timeout": -1 - 2}}"""
    schema = read_stage(stage(body), CTX)
    assert [job["name"] for job in schema["jobs"]] == ["j", "on main"]
    assert (schema["run_label"], schema["timeout"]) == ("b2", -3)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os\n" + stage("return {}"), "expected one function"),
        (stage("import os\nreturn {}"), "Import is not allowed"),
        (stage('return __import__("os")'), "a call is not allowed"),
        (stage('return {"a": open("/etc/passwd").read()}'), "a call is not allowed"),
        (stage("return ctx.__class__"), "missing field __class__"),
        (stage("return ().__class__.__bases__[0]"), "list has no field __class__"),
        (stage("return [x for x in (1,)]"), "a comprehension is not allowed"),
        (stage("return (lambda: {})()"), "a call is not allowed"),
        (stage("while True: pass"), "While is not allowed"),
        (stage("return nosuch"), "unknown name 'nosuch'"),
        (stage("return ctx.nosuch"), "missing field nosuch"),
        (stage('return {1: "a"}'), "1 is not a string"),
        (stage("return {**ctx}"), "** is not allowed"),
        (stage('return {"a": b"bytes"}'), "has no place in JSON"),
        (stage('return "a" * 1000000000'), "only + and - are allowed"),
        (stage("return 9 ** 9 ** 9"), "only + and - are allowed"),
        (stage("return {"), "was never closed"),
        (stage("return"), "Return is not allowed"),
        (stage("return [1]"), "has to return a dictionary"),
        ("def other(ctx):\n    return {}\n", "expected one function"),
        ("", "expected one function"),
        ("x" * 300_000, "longer than"),
        (stage("return " + "[" * 3000 + "]" * 3000), "compilation error"),
        (stage('return {"jobs": 1}'), "1 has the wrong type for 'jobs'"),
        (stage('return {"jobs": [{}]}'), "jobs[0]: 'name' is a required property"),
        (stage('return {"jobs": ["x"]}'), "jobs[0]: 'x' is not of type 'object'"),
        (stage('return {"jobs": [{"name": "a", "steps": [{}], "environments": []}]}'), "jobs[0].steps[0]: 'tool'"),
        (stage(f'return {{"jobs": [{JOB}, {JOB}]}}'), "Two jobs with the same name 'j'"),
        (stage('return {"parameters": [{"name": "x"}]}'), "parameters[0]: 'default'"),
    ],
)
def test_everything_else_is_refused_with_words(code: str, words: str) -> None:
    with pytest.raises(StageError) as caught:
        read_stage(code, CTX)
    assert words in str(caught.value)


def test_a_small_text_cannot_become_a_large_schema() -> None:
    body = 'a = ["x"]\n' + "\n".join(f"a = [a, a, a, a, a, a, a, a] # {n}" for n in range(12)) + '\nreturn {"jobs": a}'
    begin = time.monotonic()
    with pytest.raises(StageError, match="too large"):
        read_stage(stage(body), CTX)
    doubling = 's = "x"\n' + "s = s + s\n" * 60 + 'return {"a": s}'
    with pytest.raises(StageError, match="too large"):
        read_stage(stage(doubling), CTX)
    assert time.monotonic() - begin < 60


def test_the_api_answers_400_with_the_reason(api: Api, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = stage(f'return {{"a": open("{mark}", "w")}}')
    answer = api.call("POST", "/api/branches/1/stages", {"name": "s", "schema_code": code})
    assert (answer.status_code, answer.json()["title"]) == (400, "Bad Request")
    assert "line 2: a call is not allowed" in answer.json()["detail"]
    assert not mark.exists()
    lost = stage('return {"parent": "nowhere"}')
    answer = api.call("POST", "/api/branches/1/stages", {"name": "s", "schema_code": lost})
    assert answer.json()["detail"] == "Cannot find parent stage nowhere"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a and not b", True),
        ("a or b", True),
        ("1 < n <= 3", True),
        ("n in [1, 2]", True),
        ("n not in [1, 2]", False),
        ("d['k']", "v"),
        ("d.k if b else n", 2),
    ],
)
def test_conditions(text: str, value: object) -> None:
    assert evaluate_text(text, {"a": True, "b": False, "n": 2, "d": {"k": "v"}}) == value


@pytest.mark.parametrize("text", ["", "a b", "a()", "1 + 'x'", "d[1]", "-'x'", "~1", "f'{1:>9999999}'"])
def test_bad_conditions_are_errors_of_one_kind(text: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate_text(text, {"a": 1, "d": {}})
