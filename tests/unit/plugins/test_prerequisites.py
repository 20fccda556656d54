"""What is found on a host through its shell alone, and what would be installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import prerequisites
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.prerequisites import Found

ANSWER = """\
Welcome to build-1!\r
kraken-fleet: python=3.6.8 /usr/bin/python3\r
kraken-fleet: python=3.9.16 /usr/bin/python3.9\r
kraken-fleet: git=/usr/bin/git\r
kraken-fleet: manager=dnf\r
kraken-fleet: system=Rocky Linux 8.9\r
kraken-fleet: done=yes\r
"""


def looked(path: Path, *programs: str, interpreter: str = "") -> Found:
    """Runs the text in a real shell on a host that has only these programs."""
    path.mkdir(exist_ok=True)
    for name in programs:
        (path / name).write_text("#!/bin/sh\nexit 0\n")
        (path / name).chmod(0o755)
    shell = os.path.realpath("/bin/sh")
    text = prerequisites.look(interpreter).replace("/usr/", "/nonexistent/")
    done = subprocess.run([shell, "-c", text], env={"PATH": str(path)}, capture_output=True, text=True, check=False)
    return prerequisites.read(done.stdout)


def test_a_host_without_anything_still_answers(tmp_path: Path) -> None:
    found = looked(tmp_path / "bin")
    assert found.complete
    assert found.missing == ("python", "git")
    assert prerequisites.install(found, 1) == ""
    assert "the host has no Python; the agent and Ansible need Python 3.8 or newer" in prerequisites.complaint(found)


def test_python_and_git_are_found(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    found = looked(tmp_path / "bin", "git", "apt-get")
    assert found.python == str(tmp_path / "bin" / "python3")
    assert (found.git, found.manager, found.missing) == (str(tmp_path / "bin" / "git"), "apt-get", ())


@pytest.mark.parametrize("name", ["python3.8", "python3.13", "python3.14", "python3.15"])
def test_a_python_that_only_its_version_names_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / name).symlink_to(sys.executable)
    assert looked(tmp_path / "bin", "git").python == str(tmp_path / "bin" / name)


def test_only_the_python_that_the_inventory_names_counts(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    assert looked(tmp_path / "bin", interpreter="/opt/none/python3").missing == ("python", "git")
    assert looked(tmp_path / "bin", interpreter=sys.executable).python == sys.executable


def test_a_newer_python_beside_one_that_is_too_old_is_taken() -> None:
    found = prerequisites.read(ANSWER)
    assert (found.python, found.version, found.system) == ("/usr/bin/python3.9", "3.9.16", "Rocky Linux 8.9")


def test_a_python_that_is_too_old_is_told_with_its_version() -> None:
    found = prerequisites.read(ANSWER.replace("python=3.9.16 /usr/bin/python3.9", "x=y"))
    assert found.missing == ("python",)
    assert "only Python 3.6.8" in prerequisites.complaint(found)


def test_half_an_answer_is_none() -> None:
    assert not prerequisites.read("kraken-fleet: git=/usr/bin/git\n").complete


@pytest.mark.parametrize(
    ("manager", "expected"),
    [
        ("apt-get", "install -y --no-install-recommends python3 git"),
        ("dnf", "dnf -q -y install python3.11 git"),
        ("zypper", "zypper -n -q install --no-recommends python311 git"),
    ],
)
def test_each_family_installs_a_python_that_is_new_enough(manager: str, expected: str) -> None:
    text = prerequisites.install(Found(manager=manager, complete=True), 60)
    assert expected in text
    assert subprocess.run(["sh", "-n", "-c", text], check=False).returncode == 0


def test_only_what_is_missing_is_installed() -> None:
    text = prerequisites.install(Found(python="/usr/bin/python3", manager="apt-get", complete=True), 60)
    assert text.endswith("install -y --no-install-recommends git")
    assert "DPkg::Lock::Timeout=60" in text


def test_what_a_login_prints_without_a_line_end_hides_nothing() -> None:
    found = prerequisites.read(
        "loading profile... " + ANSWER.replace("kraken-fleet: done", "\x1b[0mkraken-fleet: done")
    )
    assert (found.python, found.git, found.complete) == ("/usr/bin/python3.9", "/usr/bin/git", True)


@pytest.mark.parametrize(
    "text",
    [
        prerequisites.look(),
        "printf '%s 100%% $HOME\\n' \"it's !\"\necho `printf two` \\\\ ~ * ? # é\n",
    ],
)
def test_one_line_says_the_same_as_many(text: str) -> None:
    line = prerequisites.one_line(text)
    assert not set("\n!") & set(line), "csh takes neither within quotes"
    done = [
        subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
        for command in (text, line)
    ]
    assert (done[1].stdout, done[1].stderr) == (done[0].stdout, done[0].stderr)
    assert done[1].stdout
