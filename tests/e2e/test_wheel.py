"""What `pip install` of the wheel gives: the command, the collection in site-packages, and the whole demo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an empty virtual environment that the wheel was installed into, with what it says it needs."""
    base = tmp_path_factory.mktemp("wheel")
    _run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(base), str(_ROOT)])
    _run([sys.executable, "-m", "venv", str(base / "venv")])
    python = base / "venv" / "bin" / "python"
    wheel = next(base.glob("*.whl"))
    _run([str(python), "-m", "pip", "install", "--quiet", f"{wheel}[server]"])
    return python.parent


def _run(command: list[str], cwd: Path | None = None) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KRAKEN_", "ANSIBLE_", "PYTHON"))}
    shown = subprocess.run(
        command, check=False, timeout=600, cwd=cwd or Path("/"), env=kept, capture_output=True, text=True
    )
    assert shown.returncode == 0, f"{command}: {shown.stdout}\n{shown.stderr}"
    return shown.stdout


def test_the_wheel_is_all_that_is_used(installed: Path, tmp_path: Path) -> None:
    code = "import kraken_fleet, importlib.util as u; print(kraken_fleet.__file__, u.find_spec('kraken_agent').origin)"
    shown = _run([str(installed / "python"), "-c", code], tmp_path)
    assert shown.count(str(installed.parent)) == 2


def test_ansible_finds_modules_and_playbooks_in_site_packages(installed: Path, tmp_path: Path) -> None:
    ansible = [str(installed / "python"), "-m", "ansible"]
    shown = _run([*ansible, "doc", "-t", "module", "--json", "kraken_ci.fleet.agent_host"], tmp_path)
    assert json.loads(shown)["kraken_ci.fleet.agent_host"]["doc"]["collection"] == "kraken_ci.fleet"
    shown = _run(
        [*ansible, "playbook", "-i", "localhost,", "kraken_ci.fleet.deploy_agents", "--syntax-check"], tmp_path
    )
    assert "deploy_agents" in shown
    assert "kraken_ci.fleet" in _run([*ansible, "galaxy", "collection", "list", "kraken_ci.fleet"], tmp_path)


def test_the_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    shown = _run([str(installed / "kraken-fleet"), "lab", "demo", "--hosts", "1", "--json"], tmp_path)
    answer = json.loads(shown)["data"]
    assert [agent["address"] for agent in answer["first"]["agents"].values()] == ["127.0.0.11"]
    assert list(tmp_path.iterdir()) == []
