"""The systemd units that come with kraken-fleet."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
UNITS = sorted((ROOT / "contrib" / "systemd").iterdir())
PAGES = ("backup.md", "reconcile.md", "scale.md", "watch.md")
ANALYZE = shutil.which("systemd-analyze")


def test_the_documentation_shows_the_units_as_they_are() -> None:
    text = "".join((ROOT / "docs" / page).read_text() for page in PAGES)
    assert [unit.stem.removeprefix("kraken-fleet-") for unit in UNITS] == [
        *("backup", "backup", "reconcile", "reconcile"),
        *("scheduler", "watch", "worker"),
    ]
    assert [unit.name for unit in UNITS if f"```ini\n{unit.read_text()}```" not in text] == []


@pytest.mark.skipif(ANALYZE is None, reason="there is no systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_units() -> None:
    done = subprocess.run(
        [str(ANALYZE), "verify", "--man=no", *map(str, UNITS)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if "kraken-fleet" in line]) == (0, [])
