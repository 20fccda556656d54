"""The tools that turn the output of other programs, or files, into results, issues and data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from kraken_agent.tools import cloc, data, gotest, junit_collect, nglint, pylint, rndtest, shell, values_collect

GO_EVENTS = [
    {"Action": "run", "Package": "ex/p", "Test": "TestA"},
    {"Action": "output", "Package": "ex/p", "Test": "TestA", "Output": "--- PASS: TestA with hidden-secret\n"},
    {"Action": "pass", "Package": "ex/p", "Test": "TestA", "Elapsed": 0.1},
    {"Action": "fail", "Package": "ex/p", "Test": "TestB", "Elapsed": 0},
    {"Action": "skip", "Package": "ex/p", "Test": "TestC"},
    {"Action": "fail", "Package": "ex/p"},
]

JUNIT = """<?xml version="1.0"?>
<testsuites><testsuite name="s">
<testcase classname="c.D" name="good"/>
<testcase classname="c.D" name="bad"><failure message="1 != 2">trace</failure></testcase>
<testcase classname="c.D" name="broken"><error>oops</error></testcase>
<testcase classname="c.D" name="left out"><skipped/></testcase>
</testsuite></testsuites>
"""


def program(directory: Path, name: str, script: str) -> Path:
    """Put a program on the disk."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return path


def test_go_results_are_reported_by_package_and_name_and_the_log_hides_secrets(
    job_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "\n".join(json.dumps(event) for event in GO_EVENTS)
    (job_dir / "events").write_text(lines + "\nvet: a message that is not JSON\n")
    go = program(job_dir / "bin", "go", 'echo "asked: $*"; cat events; exit 1\n')
    reported: list[Any] = []
    step = {"go_exe": str(go), "params": "-p 1 ./...", "secrets": ["hidden-secret"]}
    code, message = gotest.run_tests(step, report_result=reported.append)
    assert code == 1
    assert "go test exited with non-zero retcode 1" in message
    assert reported == [
        {"cmd": "", "test": "ex/p::TestA", "status": 1},
        {"cmd": "", "test": "ex/p::TestB", "status": 2},
        {"cmd": "", "test": "ex/p::TestC", "status": 4},
    ]
    output = capsys.readouterr().out
    assert "asked: test -json -p 1 ./..." in output
    assert "--- PASS: TestA with ******" in output
    assert "vet: a message that is not JSON" in output


def test_go_tests_end_when_the_steps_time_is_over(job_dir: Path) -> None:
    go = program(job_dir / "bin", "go", "sleep 60\n")
    assert gotest.run_tests({"go_exe": str(go), "timeout": 1}, lambda entry: None)[0] == 10000


def test_junit_files_are_found_and_each_case_is_reported(job_dir: Path) -> None:
    (job_dir / "build/reports").mkdir(parents=True)
    (job_dir / "build/reports/r.xml").write_text(JUNIT)
    reported: list[Any] = []
    assert junit_collect.run_tests({"cwd": "build", "file_glob": "**/*.xml"}, reported.append) == (0, "")
    assert [(entry["test"], entry["status"]) for entry in reported] == [
        ("c.D::good", 1),
        ("c.D::bad", 2),
        ("c.D::broken", 3),
        ("c.D::left out", 4),
    ]
    assert reported[1]["msg"] == "1 != 2"
    assert all(entry["cmd"] == "" for entry in reported)


def test_a_damaged_junit_file_is_an_error_but_the_others_are_reported(job_dir: Path) -> None:
    (job_dir / "a.xml").write_text("<testsuite><testcase")
    (job_dir / "b.xml").write_text(JUNIT)
    reported: list[Any] = []
    code, message = junit_collect.run_tests({"file_glob": "*.xml"}, reported.append)
    assert code == 1
    assert "a.xml" in message
    assert len(reported) == 4


def test_values_are_reported_under_namespace_or_file_name(job_dir: Path) -> None:
    (job_dir / "m.json").write_text('{"speed": 3.5, "size": 7}')
    (job_dir / "bad.json").write_text("{")
    (job_dir / "list.json").write_text("[]")
    reported: list[Any] = []
    names = ["m.json", "bad.json", "list.json", "gone.json"]
    files = [{"name": "m.json", "namespace": "perf"}, *({"name": name} for name in names)]
    assert values_collect.run_tests({"files": files}, reported.append) == (0, "")
    values = {"speed": {"value": 3.5}, "size": {"value": 7}}
    assert reported[0] == {"cmd": "", "test": "perf", "status": 1, "values": values}
    assert [(entry["test"], entry["status"]) for entry in reported[1:]] == list(zip(names, [1, 3, 3, 3], strict=True))
    assert "missing" in reported[4]["msg"]


def test_data_is_read_from_the_file_and_a_value_is_left_to_the_server(job_dir: Path) -> None:
    (job_dir / "d.json").write_text('{"a": 1}')
    sent: list[Any] = []
    assert data.run_data({"file": "d.json", "operation": "set"}, sent.append) == (0, "")
    assert data.run_data({"value": '{"b": 2}'}, sent.append) == (0, "")
    assert sent == ['{"a": 1}', ""]


@pytest.mark.parametrize("step", [{}, {"file": "gone.json"}])
def test_data_without_a_readable_file_is_an_error(job_dir: Path, step: dict[str, Any]) -> None:
    assert data.run_data(step, lambda sent: None)[0] == 1


def test_pylint_issues_are_reported_as_pylint_gives_them(job_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    issues = [{"type": "warning", "path": "m.py", "line": 3, "column": 0, "symbol": "w", "message": "unused"}]
    (job_dir / "issues").write_text(json.dumps(issues))
    lint = program(job_dir / "bin", "pylint", "echo a remark >&2; echo $* >asked; cat issues\n")
    reported: list[Any] = []
    step = {"pylint_exe": f"{lint} --jobs 1", "rcfile": "my rc", "modules_or_packages": "src lib"}
    assert pylint.run_analysis(step, reported.append) == (0, "")
    assert reported == issues
    assert (job_dir / "asked").read_text() == "--jobs 1 --exit-zero -f json --rcfile=my rc src lib\n"
    assert "m.py:3  unused" in capfd.readouterr().out


def test_pylint_that_fails_fails_the_step(job_dir: Path) -> None:
    lint = program(job_dir / "bin", "pylint", "exit 32\n")
    step = {"pylint_exe": str(lint), "modules_or_packages": "x"}
    assert pylint.run_analysis(step, lambda issue: None)[0] == 32


def test_angular_issues_carry_paths_in_the_repository_and_addresses_on_the_web(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "ui").mkdir()
    messages = [{"line": 4, "column": 2, "severity": 2, "message": "no any", "ruleId": "no-any"}]
    found = [{"filePath": str(repository / "ui/src/app.ts"), "messages": messages}]
    (repository / "ui/found").write_text("Linting...\n" + json.dumps(found) + "\nDone.\n")
    bin_dir = program(repository / "bin", "npx", "cat found\n").parent
    monkeypatch.setenv("PATH", f"{bin_dir}:/usr/bin:/bin")
    monkeypatch.chdir(repository)
    _set_remote(repository, "https://bot:pw@example.com:8443/group/app.git")
    reported: list[Any] = []
    assert nglint.run_analysis({"cwd": "ui"}, reported.append) == (0, "")
    assert reported == [
        {
            "path": "ui/src/app.ts",
            "line": 4,
            "column": 2,
            "message": "no any",
            "symbol": "no-any",
            "type": "error",
            "url": "https://example.com/group/app/blob/master/ui/src/app.ts#L4",
        }
    ]


CLOC = {
    "header": {"cloc_version": "1.96"},
    "Python": {"nFiles": 1, "blank": 1, "comment": 1, "code": 2},
    "SUM": {"nFiles": 1, "blank": 1, "comment": 1, "code": 2},
}


def test_cloc_counts_each_language(job_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("cloc") is None:
        # A host without cloc checks at least how its answer is read.
        (job_dir / "counts.json").write_text(json.dumps(CLOC))
        monkeypatch.setenv("PATH", f"{program(job_dir / 'bin', 'cloc', 'cat counts.json').parent}:/usr/bin:/bin")
    (job_dir / "a.py").write_text("# remark\nx = 1\n\ny = 2\n")
    (job_dir / "skip").mkdir()
    (job_dir / "skip/b.py").write_text("z = 3\n")
    reported: list[Any] = []
    assert cloc.run_tests({"exclude-dir": "skip"}, reported.append) == (0, "")
    values = {entry["test"]: entry["values"] for entry in reported}
    assert set(values) == {"Python", "SUM"}
    assert {name: value["value"] for name, value in values["Python"].items()} == {
        "blank": 1,
        "comment": 1,
        "code": 2,
        "total": 4,
        "files": 1,
    }


def test_random_tests_have_the_same_names_every_time() -> None:
    names = rndtest.collect_tests({"count": "5"})
    assert names == rndtest.collect_tests({"count": 5})
    assert names[:3] == ["test_0_special.unstable", "test_1_special.sporadic", "test_2_special.manual"]
    assert len(set(names)) == 5


def test_random_results_are_possible_ones_with_statistics() -> None:
    reported: list[Any] = []
    assert rndtest.run_tests({"tests": rndtest.collect_tests({"count": 60})}, reported.append) == (0, "")
    assert len(reported) == 60
    assert {entry["status"] for entry in reported} <= set(range(6))
    series = [value for entry in reported for value in entry.get("values", {}).values() if value["iterations"] > 1]
    assert series
    assert all(value["min"] <= value["median"] <= value["max"] for value in series)


def test_random_results_can_be_overridden() -> None:
    reported: list[Any] = []
    rndtest.run_tests({"tests": ["a", "b"], "override_result": "2"}, reported.append)
    assert [entry["status"] for entry in reported] == [2, 2]


def _set_remote(repository: Path, url: str) -> None:
    config = repository / ".git/config"
    lines = [line for line in config.read_text().splitlines() if not line.strip().startswith("url")]
    config.write_text("\n".join(lines) + "\n" + f'[remote "origin"]\n\turl = {url}\n')
    ref = repository / ".git/refs/remotes/origin/master"
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text((repository / ".git/refs/heads/master").read_text())


def test_a_shell_step_run_by_kktool_has_environment_directory_and_exit_code(
    job_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (job_dir / "sub").mkdir()
    step = {
        "cmd": 'echo "$A hidden-secret"; pwd; exit 3',
        "env": {"A": "1"},
        "cwd": "sub",
        "secrets": ["hidden-secret"],
    }
    assert shell.run(step) == (3, "cmd exited with non-zero retcode: 3")
    assert capsys.readouterr().out.splitlines() == ["1 ******", str(job_dir / "sub")]


def test_a_shell_script_run_by_kktool_stops_at_its_first_error(
    job_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.run({"script": "echo one\nfalse\necho two"})[0] == 1
    assert capsys.readouterr().out.splitlines() == ["+ echo one", "one", "+ false"]


def test_a_shell_step_run_by_kktool_ends_when_its_time_is_over(job_dir: Path) -> None:
    assert shell.run({"cmd": "sleep 60", "timeout": 1})[0] == 10000
    assert shell.run({})[0] == 1
