"""What `make test-real` installs on a machine by itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.prepare_real import PROGRAMS
from tests.real_server.install import apt_install

REPOSITORY = Path(__file__).resolve().parents[3]
# Without these there is no environment in which the program that installs the rest could run.
NEEDED_BEFORE = {"git", "make", "python3", "python3-venv"}


def test_it_installs_by_itself_what_continuous_integration_installs_for_tests() -> None:
    named = set(re.findall(r"missing\+=\(([\w-]+)\)", (REPOSITORY / ".ci/run").read_text()))
    assert named > NEEDED_BEFORE
    assert named - NEEDED_BEFORE <= set(PROGRAMS)


def test_packages_are_installed_when_other_programs_have_done_with_dpkg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/said\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    apt_install(["hello", "faketime"])
    update, install = (tmp_path / "said").read_text().splitlines()
    assert update.endswith(" update -qq")
    assert install == "-o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends hello faketime"
