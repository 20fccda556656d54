"""Unit files: what they say, and that systemd itself has nothing against them."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import systemd
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError, apply_all
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.files import Attributes
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec import AgentSpec

SPEC = AgentSpec(
    "", "/opt/kraken", "kraken-agent", "kraken", "kraken", "/usr/bin/python3", {}, drain_seconds=300, notifies=True
)
ONE_JOB = SPEC._replace(environment={"KRAKEN_AGENT_ONE_JOB": "yes"})


def lines(spec: AgentSpec) -> list[str]:
    return systemd.unit_text(spec).splitlines()


def test_the_agent_runs_as_its_user_and_has_time_for_its_job() -> None:
    text = lines(SPEC)
    assert "ExecStart=/usr/bin/python3 /opt/kraken/current/kkagent run" in text
    assert "User=kraken" in text
    assert "KillMode=mixed" in text
    assert "TimeoutStopSec=330" in text
    assert "Type=notify" in text
    assert "Type=simple" in lines(SPEC._replace(notifies=False))
    assert "Type=simple" in lines(SPEC._replace(update="server"))
    assert "OOMPolicy=continue" in text


def test_hardening_gives_way_to_what_was_asked_for() -> None:
    assert "NoNewPrivileges=yes" in lines(SPEC)
    assert "ReadWritePaths=/opt/kraken/data" in lines(SPEC)
    assert "ReadWritePaths=/opt/kraken" in lines(SPEC._replace(update="server"))
    with_sudo = lines(SPEC._replace(sudo=True))
    assert "NoNewPrivileges=yes" not in with_sudo
    assert "ProtectControlGroups=yes" in with_sudo
    # It would imply NoNewPrivileges.
    assert "ProtectKernelModules=yes" not in with_sudo
    assert not [line for line in lines(SPEC._replace(hardening=False)) if line.startswith("Protect")]
    assert "ProtectHome=yes" not in lines(SPEC._replace(directory="/home/ci/kraken"))


def test_a_fresh_agent_shares_no_memory_and_no_locks_with_the_one_before() -> None:
    ours = ["PrivateIPC=yes", "TemporaryFileSystem=/dev/shm:mode=1777", "ReadOnlyPaths=/run"]
    assert [line for line in lines(ONE_JOB) if line in ours] == ours
    assert not set(ours) & set(lines(SPEC))


def test_a_directory_that_a_job_has_closed_keeps_no_agent_from_its_start() -> None:
    assert "WorkingDirectory=-/opt/kraken/data" in lines(SPEC)


def test_further_settings_come_last_and_so_win() -> None:
    text = systemd.unit_text(SPEC._replace(unit_settings={"MemoryMax": "4G", "PrivateTmp": "no"}))
    assert text.index("PrivateTmp=yes") < text.index("PrivateTmp=no") < text.index("[Install]")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="this machine has no systemd")
@pytest.mark.parametrize("spec", [SPEC, SPEC._replace(sudo=True), SPEC._replace(name="big", hardening=False), ONE_JOB])
def test_systemd_accepts_it(spec: AgentSpec, tmp_path: Path) -> None:
    here = spec._replace(user="root", group="root", directory=str(tmp_path), python="/bin/true")
    (tmp_path / "kraken.env").write_text("")
    unit = tmp_path / "kraken-agent.service"
    unit.write_text(systemd.unit_text(here))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if str(unit) in line or "kraken-agent.service" in line]
    assert complaints == []


@pytest.mark.parametrize(
    ("update", "states", "stays_up"),
    [
        ("managed", ["auto-restart"], False),
        ("server", ["auto-restart", "running"], True),
        ("server", ["auto-restart", "auto-restart"], False),
    ],
)
def test_only_one_that_updates_itself_may_end_once(
    update: str, states: list[str], stays_up: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [{"ActiveState": "active" if state == "running" else "activating", "SubState": state} for state in states]
    monkeypatch.setattr(systemd, "show", lambda unit: shown.pop(0))
    monkeypatch.setattr(systemd, "run", lambda *_, **__: "")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    spec = SPEC._replace(notifies=False, update=update, directory=str(tmp_path))
    (change,) = systemd._service(spec, "inactive", restart=False)
    with nullcontext() if stays_up else pytest.raises(HostError, match="does not stay up"):
        change.apply()
    assert shown == []


@pytest.mark.parametrize(
    ("state", "wanted", "restart", "verbs"),
    [
        ("active", "stopped", False, ["stop"]),
        ("activating", "stopped", False, ["stop"]),
        ("failed", "stopped", False, []),
        ("inactive", "stopped", True, []),
        ("active", "started", False, []),
        ("active", "started", True, ["restart"]),
        ("activating", "started", False, ["start"]),
        ("activating", "started", True, ["restart"]),
        ("inactive", "started", True, ["start"]),
    ],
)
def test_a_service_between_two_starts_is_stopped_or_started_anew_too(
    state: str, wanted: str, restart: bool, verbs: list[str]
) -> None:
    changes = systemd._service(SPEC._replace(service_state=wanted), state, restart=restart)
    assert [change.what.split()[0] for change in changes] == verbs


@pytest.mark.parametrize(
    ("state", "wanted", "is_written", "verbs"),
    [
        ("", True, False, ["enable", "start"]),
        ("enabled", True, False, ["daemon-reload", "start"]),
        ("enabled", False, False, ["disable", "start"]),
        ("disabled", False, False, ["daemon-reload", "start"]),
        # A deploy has ended when it had written the file.
        ("disabled", True, True, ["enable", "start"]),
        ("enabled", True, True, ["daemon-reload", "start"]),
    ],
)
def test_systemd_reads_its_files_again_once(
    state: str, wanted: bool, is_written: bool, verbs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def run(command: list[str], **_: object) -> str:
        if command[1] == "show":
            return f"ActiveState=inactive\nUnitFileState={state}\nNeedDaemonReload={'yes' if is_written else 'no'}\n"
        done.append(command[1])
        return ""

    monkeypatch.setattr(systemd, "UNIT_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(systemd, "run", run)
    # Whoever runs the tests may not give files to root.
    monkeypatch.setattr(systemd, "Attributes", lambda mode, *_: Attributes(mode))
    spec = SPEC._replace(enabled=wanted, directory=str(tmp_path))
    if is_written:
        unit = tmp_path / "kraken-agent.service"
        unit.write_text(systemd.unit_text(spec))
        unit.chmod(0o644)
    apply_all(systemd.converge(spec, restart=False))
    assert done == verbs
    assert (tmp_path / "kraken-agent.service").read_text() == systemd.unit_text(spec)
