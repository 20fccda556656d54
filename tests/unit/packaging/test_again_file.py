"""CI tries a failed test once more: its last lines name each one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
TEST = """
from pathlib import Path

def test_passes_the_second_time():
    seen = Path(__file__).with_name("seen")
    first = not seen.exists()
    seen.touch()
    assert not first

def test_passes_the_first_time():
    pass
"""


def test_a_test_that_was_tried_again_is_named_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    again = tmp_path / "again"
    options = ["-n", "1", "--reruns", "1", f"--again-file={again}", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, "-c", str(ROOT / "pyproject.toml")]
    conftest = ["--rootdir", str(tmp_path), "-p", "tests.conftest"]
    done = subprocess.run(
        [*command, *conftest, str(tmp_path / "test_it.py")], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (named,) = again.read_text().splitlines()
    assert named == "test_it.py::test_passes_the_second_time"


def test_pytest_knows_the_options_that_ci_gives_when_no_tests_are_named(tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.touch()
    (given,) = re.findall(r'^export AGAIN="(.*)"$', (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    options = given.replace("$again", str(again)).split()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--markers"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
