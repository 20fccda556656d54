"""Kraken's own agent on a host: what it needs besides its files, what goes when it goes, and what it cannot do."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import converge, systemd, upstream
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.applied_settings import refusals
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError, apply_all
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.files import Attributes
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.installed import agent_of, has, known_agent
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import (
    BINARIES,
    OURS,
    UPSTREAM,
    WINDOWS,
)
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec import AgentSpec
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec_of import specs_of

from tests import stand_in_agent
from tests.unit.plugins.test_host_converge import parameters

SERVER = "127.0.0.1"  # the address by which this machine reaches the server of `parameters`


def described(directory: Path, agent: str = UPSTREAM, **changed: Any) -> AgentSpec:
    wanted = {"service_state": "stopped", "enabled": False, "address": SERVER, **changed}
    (spec,) = specs_of({**parameters(directory, **wanted), "agent": agent})
    return spec


def brought(spec: AgentSpec) -> None:
    """Deployed; the second time nothing is left to do."""
    apply_all(converge.present([spec], None, root=False))
    assert [change.what for change in converge.present([spec], None, root=False)] == []


def version_of_its_own(directory: Path, name: str = "1.7.36") -> None:
    """What its command `install` and its update leave."""
    version = directory / name
    version.mkdir(parents=True)
    for file in upstream.NAMES:
        (version / file).touch()
        (directory / file).unlink(missing_ok=True)
        (directory / file).symlink_to(version / file)


def test_the_stand_in_is_taken_for_krakens_own_agent(tmp_path: Path) -> None:
    stand_in_agent.build(tmp_path)
    assert agent_of((tmp_path / "kkagent").read_bytes()) == UPSTREAM


def test_it_finds_its_tool_a_home_and_a_small_sudo(tmp_path: Path) -> None:
    directory = tmp_path / "kraken"
    spec = described(directory)
    brought(spec)
    assert (directory / "kktool").readlink() == Path("current/kktool")
    assert (directory / "kkagent").readlink() == Path("current/kkagent")
    text = (directory / "kraken.env").read_text()
    assert f"HOME={directory}/data\n" in text
    assert f"PATH={directory}/bin:/usr/local/sbin:" in text
    assert "KRAKEN_AGENT_ADDRESS" not in text
    unit = systemd.unit_text(spec)
    assert f"ExecStart={spec.python} {directory}/current/kkagent run --no-update\n" in unit
    assert "ExecReload" not in unit, "it has no SIGHUP, and would end"


def test_the_small_sudo_removes_old_jobs_and_nothing_else(tmp_path: Path) -> None:
    directory = tmp_path / "kraken"
    brought(described(directory))
    jobs, other = directory / "data" / "jobs", directory / "data" / "other"
    for path in (jobs / "1", jobs / "2", other):
        path.mkdir(parents=True)

    def sudo(words: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", "-c", f"PATH={directory}/bin:$PATH; sudo {words}"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    for refused in (f"rm -rf {other}", f"rm -rf {jobs}/1 {other}", f"rm -rf {jobs}/../other", "id", "rm -rf"):
        assert "set kraken_agent_sudo to true" in sudo(refused).stderr, refused
    assert other.is_dir()
    assert (jobs / "1").is_dir()
    assert sudo(f"rm -rf {jobs}/*").returncode == 0
    assert list(jobs.iterdir()) == []


def test_nothing_of_it_stays_on_a_host_that_moves_to_our_agent(tmp_path: Path) -> None:
    directory = tmp_path / "kraken"
    version_of_its_own(directory)
    (directory / ".shiv").mkdir()
    brought(described(directory))
    assert not (directory / "1.7.36").exists(), "what its own installation has left"
    brought(described(directory, OURS))
    assert sorted(path.name for path in directory.iterdir()) == ["data", "kraken.env", "versions"]
    assert "HOME=" not in (directory / "kraken.env").read_text()


def test_a_removal_leaves_nothing_of_it(tmp_path: Path) -> None:
    directory = tmp_path / "kraken"
    brought(described(directory))
    version_of_its_own(directory)
    apply_all(
        converge.removed([described(directory, OURS, state="absent")], root=False, keep_data=False, keep_user=False)
    )
    assert not directory.exists()


def test_one_that_updates_itself_keeps_the_links_that_it_has_made(tmp_path: Path) -> None:
    spec = AgentSpec(
        "", str(tmp_path), "kraken-agent", "kraken", "kraken", "python3", {}, sudo=True, update="server", agent=UPSTREAM
    )
    version_of_its_own(tmp_path, "1.7.40")
    assert list(upstream.needs(spec, Attributes(0o755))) == []
    assert list(upstream.needless(spec)) == []
    assert upstream.updated_to(spec) == "1.7.40"
    assert spec.command == ["python3", f"{tmp_path}/kkagent", "run"]
    assert "NoNewPrivileges" not in systemd.unit_text(spec)


def test_a_version_that_an_agent_has_chosen_is_kept_only_while_it_is_the_same_agent(tmp_path: Path) -> None:
    release = tmp_path / "versions" / "1.7.36-0"
    stand_in_agent.build(release)
    assert not has(str(tmp_path), UPSTREAM)
    (tmp_path / "current").symlink_to("versions/1.7.36-0")
    assert has(str(tmp_path), UPSTREAM)
    assert not has(str(tmp_path), OURS)


def test_another_address_than_it_would_claim_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"kraken_agent_address is 192\.0\.2\.1.*claims 127\.0\.0\.1"):
        described(tmp_path, address="192.0.2.1")
    assert described(tmp_path, address="").address == SERVER


def test_an_update_without_systemd_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="only systemd starts it again"):
        described(tmp_path, update="server", sudo=True, service_manager="process")


@pytest.mark.parametrize(
    ("method", "values", "words"),
    [
        (BINARIES, {}, "with sudo, which kraken_agent_sudo is to give it"),
        (BINARIES, {"kraken_agent_sudo": True, "kraken_agent_user": "ci"}, "the account kraken"),
        (WINDOWS, {}, "on Windows hosts"),
    ],
)
def test_an_update_that_could_not_work_is_refused_with_the_reason(
    method: str, values: dict[str, Any], words: str
) -> None:
    given = {"kraken_agent_update": "server", **values}
    (said,) = refusals(method, given, {}, UPSTREAM)
    assert words in said
    assert "Set kraken_agent_update to managed" in said
    assert refusals(BINARIES, {**given, "kraken_agent_sudo": True, "kraken_agent_user": "kraken"}, {}, UPSTREAM) == []
    assert not [each for each in refusals(BINARIES, given, {}, OURS) if words in each]


def test_a_host_looks_into_the_file_that_it_downloads(tmp_path: Path) -> None:
    stand_in_agent.build(tmp_path)
    content = (tmp_path / "kkagent").read_bytes()
    one = {"name": "kkagent", "sha256": hashlib.sha256(content).hexdigest(), "url": (tmp_path / "kkagent").as_uri()}
    given = {
        "agent": "",
        "releases": {},
        "binaries": [one],
        "bundle_version": "1",
        "allowed_signers": "",
        "dir": str(tmp_path / "kraken"),
    }
    found = known_agent(given)
    assert found["agent"] == UPSTREAM
    assert found["binaries"][0]["fetched"] == content, "it is not downloaded again"
    assert known_agent({**given, "agent": OURS})["agent"] == OURS
