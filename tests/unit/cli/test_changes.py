"""Changes to several agents: what programs read when some could not be made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kraken_fleet import errors
from kraken_fleet.cli import changes, output
from kraken_fleet.cli.main import app
from kraken_fleet.errors import FleetError, PartialFailureError
from kraken_fleet.reconcile import Changed, Event, Failed


def _half() -> Iterator[Event]:
    yield Changed(subject="build-2 (10.0.0.2)", state="drained")
    yield Failed(subject="build-1 (10.0.0.1)", reason="still runs a job")
    raise PartialFailureError("1 of 2 agents could not be drained", failures={"build-1 (10.0.0.1)": "still runs a job"})


def test_a_partial_failure_says_of_each_agent_what_was_done_and_what_was_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(PartialFailureError) as caught:
        changes.follow(_half(), as_json=True)
    output.error(caught.value, as_json=True)
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert answer["error"]["done"] == {"build-2 (10.0.0.2)": "drained"}
    assert answer["error"]["failures"] == {"build-1 (10.0.0.1)": "still runs a job"}


def test_the_documentation_has_every_exit_code() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "exit-codes.md").read_text()
    documented = {int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    codes = {one.exit_code for one in vars(errors).values() if isinstance(one, type) and issubclass(one, FleetError)}
    assert codes | {0, 2, 4, 130} == documented
    epilog = str(app.info.epilog)
    assert {int(number) for number in re.findall(r"\b(\d+) ", epilog)} == documented
