"""One played Windows host for each test."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kraken_fleet.server.testing import running
from tests.unit.windows.played_host import EMPTY, NAMES, Windows


@pytest.fixture
def windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A host on which nothing was done yet; the server has upstream's agent."""
    actions = tmp_path / "simulated" / "ansible_collections" / "ansible" / "windows" / "plugins" / "action"
    actions.mkdir(parents=True)
    for name in NAMES:
        shutil.copy(Path(__file__).with_name("fake_windows_host.py"), actions / f"win_{name}.py")
    (tmp_path / "state.json").write_text(json.dumps(EMPTY))
    served = tmp_path / "served"
    served.mkdir()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("nssm-2.24/win64/nssm.exe", b"MZ")
    with running(tmp_path / "server", bundle_dir=served) as server:
        sha256 = hashlib.sha256(archive.getvalue()).hexdigest()
        made = Windows(
            tmp_path, served, server.url, {"kraken_agent_source": "server", "kraken_agent_nssm_sha256": sha256}
        )
        made.serve(kkagent=b"#!python 1", kktool=b"#!python tool", **{"nssm-2.24.zip": archive.getvalue()})
        yield made
