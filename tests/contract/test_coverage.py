"""The suite knows everything that kraken-fleet says to a server: what it asks and what its agent tells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.contract.client_calls import endpoints, messages
from tests.contract.covering_tests import COVERING_TESTS, name_of_test

HERE = Path(__file__).parent


def test_every_endpoint_and_message_has_a_test_of_success_and_of_refusal() -> None:
    assert set(COVERING_TESTS) == endpoints() | {f"message {name}" for name in messages()}


def test_every_covering_test_is_a_test_of_this_suite() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider", str(HERE)]
    # Somebody's own options, such as -v, would change what is printed.
    plain = {**os.environ, "PYTEST_ADDOPTS": ""}
    listed = subprocess.run(
        command, capture_output=True, text=True, cwd=HERE.parents[1], env=plain, check=False, timeout=250
    )
    known = {name_of_test(line) for line in listed.stdout.splitlines()}
    assert {name for names in COVERING_TESTS.values() for name in names} - known == set()
