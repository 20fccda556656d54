"""The tool pytest, with a real pytest."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from kraken_agent.tools import pytest as pytest_tool

SUITE = """
import os
import pytest
import helper

def test_good():
    print("seen in the log")

def test_bad():
    assert helper.ONE == 2, "the sum is wrong"

@pytest.fixture
def broken():
    raise RuntimeError("no database")

def test_error(broken):
    pass

@pytest.mark.skip(reason="not today")
def test_skipped():
    pass

@pytest.mark.xfail(reason="known")
def test_known():
    assert False

@pytest.mark.parametrize("text", ["a b", "c[d]'e"])
def test_text(text):
    pass
"""

IDS = [
    "tests/test_it.py::test_good",
    "tests/test_it.py::test_bad",
    "tests/test_it.py::test_error",
    "tests/test_it.py::test_skipped",
    "tests/test_it.py::test_known",
    "tests/test_it.py::test_text[a b]",
    "tests/test_it.py::test_text[c[d]'e]",
]


@pytest.fixture
def project(job_dir: Path) -> Path:
    directory = job_dir / "project"
    (directory / "tests").mkdir(parents=True)
    (directory / "src").mkdir()
    (directory / "src/helper.py").write_text("ONE = 1\n")
    (directory / "tests/test_it.py").write_text(SUITE)
    (directory / "pytest.ini").write_text("[pytest]\n")
    return directory


@pytest.fixture
def step() -> dict[str, object]:
    return {
        "tool": "pytest",
        "cwd": "project",
        "pytest_exe": f"{sys.executable} -m pytest -p no:cacheprovider",
        "params": "-vv tests/test_*.py",
        "pythonpath": "src",
    }


def test_every_test_is_collected_by_its_id(project: Path, step: dict[str, Any]) -> None:
    assert pytest_tool.collect_tests(step) == IDS


def test_each_way_a_test_can_go_has_its_status(project: Path, step: dict[str, Any]) -> None:
    reported: list[Any] = []
    assert pytest_tool.run_tests({**step, "tests": IDS}, report_result=reported.append) == (0, "")
    assert [(entry["test"], entry["status"]) for entry in reported] == list(
        zip(IDS, [1, 2, 3, 4, 1, 1, 1], strict=True)
    )
    assert "the sum is wrong" in reported[1]["msg"]
    assert "no database" in reported[2]["msg"]
    assert "not today" in reported[3]["msg"]
    assert IDS[0] in reported[0]["cmd"]


def test_only_the_dispatched_tests_run(project: Path, step: dict[str, Any]) -> None:
    reported: list[Any] = []
    pytest_tool.run_tests({**step, "tests": [IDS[5], IDS[0]]}, report_result=reported.append)
    assert sorted(entry["test"] for entry in reported) == sorted([IDS[0], IDS[5]])


def test_a_test_that_is_not_there_any_more_is_an_error(project: Path, step: dict[str, Any]) -> None:
    reported: list[Any] = []
    pytest_tool.run_tests({**step, "tests": ["tests/test_it.py::test_gone", IDS[0]]}, report_result=reported.append)
    assert [(entry["test"], entry["status"]) for entry in reported] == [
        (IDS[0], 1),
        ("tests/test_it.py::test_gone", 3),
    ]


def test_a_test_that_ends_the_interpreter_is_an_error_of_its_own(project: Path, step: dict[str, Any]) -> None:
    (project / "tests/test_it.py").write_text(
        "import os\ndef test_a(): pass\ndef test_b(): os._exit(9)\ndef test_c(): pass\n"
    )
    tests = [f"tests/test_it.py::test_{name}" for name in "abc"]
    reported: list[Any] = []
    code, _ = pytest_tool.run_tests({**step, "tests": tests}, report_result=reported.append)
    assert code == 9
    assert [entry["status"] for entry in reported] == [1, 3, 3]


def test_results_arrive_while_later_tests_still_run(project: Path, step: dict[str, Any]) -> None:
    (project / "tests/test_it.py").write_text(
        "import os, time\n"
        "def test_a(): pass\n"
        "def test_b():\n"
        "    while not os.path.exists('first-result-was-seen'): time.sleep(0.05)\n"
    )
    reported: list[Any] = []

    def report(entry: dict[str, Any]) -> None:
        reported.append(entry["status"])
        (project / "first-result-was-seen").touch()

    tests = [f"tests/test_it.py::test_{name}" for name in "ab"]
    assert pytest_tool.run_tests({**step, "tests": tests, "timeout": 60}, report_result=report) == (0, "")
    assert reported == [1, 1]


def test_tests_over_the_steps_time_are_ended_and_those_without_result_are_errors(
    project: Path, step: dict[str, Any]
) -> None:
    (project / "tests/test_it.py").write_text("import time\ndef test_a(): time.sleep(60)\n")
    reported: list[Any] = []
    step = {**step, "tests": ["tests/test_it.py::test_a"], "timeout": 1}
    assert pytest_tool.run_tests(step, report_result=reported.append)[0] == 10000
    assert [entry["status"] for entry in reported] == [3]


def test_a_suite_that_cannot_be_imported_fails_the_collection_with_its_reason(
    project: Path, step: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "tests/test_it.py").write_text("import no_such_module\n")
    with pytest.raises(RuntimeError, match="exit code is 2"):
        pytest_tool.collect_tests(step)
    assert "no_such_module" in capsys.readouterr().out


def test_a_pytest_that_does_not_exist_fails_with_the_shells_code(project: Path, step: dict[str, Any]) -> None:
    code, _ = pytest_tool.run_tests({**step, "pytest_exe": "no-such-pytest", "tests": [IDS[0]]}, lambda entry: None)
    assert code == 127


def test_parallel_runs_report_each_test_once(project: Path, step: dict[str, Any]) -> None:
    reported: list[Any] = []
    params = "-n 2 tests/test_it.py"
    pytest_tool.run_tests({**step, "params": params, "tests": IDS}, report_result=reported.append)
    assert sorted(entry["test"] for entry in reported) == sorted(IDS)
    assert {entry["test"]: entry["status"] for entry in reported}[IDS[1]] == 2
