"""What `make test-real` installs on a machine by itself."""

from __future__ import annotations

import re
from pathlib import Path

from tests.prepare_real import PROGRAMS

REPOSITORY = Path(__file__).resolve().parents[3]
# Without these there is no environment in which the program that installs the rest could run.
NEEDED_BEFORE = {"git", "make", "python3", "python3-venv"}


def test_it_installs_by_itself_what_continuous_integration_installs_for_tests() -> None:
    named = set(re.findall(r"missing\+=\(([\w-]+)\)", (REPOSITORY / ".ci/run").read_text()))
    assert named > NEEDED_BEFORE
    assert named - NEEDED_BEFORE <= set(PROGRAMS)
