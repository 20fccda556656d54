"""From a module's parameters to agents: what users gave in kraken_agent_environment is heeded in every part of them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import converge, systemd
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError, apply_all
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.installed import agent_of
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import OURS, UPSTREAM
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec_of import specs_of

from tests.unit.plugins.test_host_converge import parameters


def shiv_file(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        for name in names:
            opened.writestr(name, "")
    return made.getvalue()


UPSTREAMS = shiv_file("site-packages/kraken/agent/main.py", "__main__.py")


def test_a_data_directory_elsewhere_is_made_writable_and_taken_away(tmp_path: Path) -> None:
    data = tmp_path / "big" / "kraken"
    given = {"KRAKEN_DATA_DIR": str(data)}
    specs = specs_of(parameters(tmp_path / "agent", environment=given, service_state="stopped", enabled=False))
    assert f"ReadWritePaths={data}" in systemd.unit_text(specs[0]).splitlines()
    assert f"WorkingDirectory=-{data}" in systemd.unit_text(specs[0]).splitlines()
    apply_all(converge.present(specs, None, root=False))
    assert data.stat().st_mode & 0o777 == 0o700
    assert f"KRAKEN_DATA_DIR={data}" in (tmp_path / "agent" / "kraken.env").read_text()
    apply_all(converge.removed(specs, root=False, keep_data=False, keep_user=False))
    assert not data.exists()
    assert data.parent.exists()


@pytest.mark.parametrize("data", ["relative/path", "/usr/lib", "DIR", "DIR/versions", "DIR/..", "/opt"])
def test_a_data_directory_that_cannot_belong_to_the_agent_is_refused(data: str, tmp_path: Path) -> None:
    directory = tmp_path / "agent"
    given = {"KRAKEN_DATA_DIR": data.replace("DIR", str(directory))}
    with pytest.raises(HostError, match="KRAKEN_DATA_DIR"):
        specs_of(parameters(directory, environment=given))


def test_two_agents_do_not_share_a_data_directory(tmp_path: Path) -> None:
    instances = [{"name": name, "address": f"127.0.0.{number}"} for number, name in enumerate(("one", "two"), 8)]
    given = {"KRAKEN_DATA_DIR": str(tmp_path / "data")}
    with pytest.raises(HostError, match="Two agents of this host have the same data"):
        specs_of(parameters(tmp_path / "agent", instances=instances, environment=given))


def test_the_time_for_jobs_may_be_said_in_the_environment(tmp_path: Path) -> None:
    (agent,) = specs_of(parameters(tmp_path / "agent", environment={"KRAKEN_AGENT_DRAIN_SECONDS": 1800}))
    assert agent.drain_seconds == 1800
    assert "TimeoutStopSec=1830" in systemd.unit_text(agent).splitlines()
    with pytest.raises(HostError, match="which is not a number of seconds"):
        specs_of(parameters(tmp_path / "agent", environment={"KRAKEN_AGENT_DRAIN_SECONDS": "soon"}))


def test_a_file_for_the_secret_is_not_named_by_hand(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="Set kraken_registration_trust"):
        specs_of(parameters(tmp_path / "agent", environment={"KRAKEN_AGENT_NONCE_FILE": "/tmp/nonce"}))


def test_the_address_that_users_gave_is_the_one_that_is_reported(tmp_path: Path) -> None:
    (agent,) = specs_of(parameters(tmp_path / "agent", environment={"KRAKEN_AGENT_ADDRESS": "192.0.2.9"}))
    assert agent.address == "192.0.2.9"


def test_certificate_authorities_are_brought_kept_and_taken_away(tmp_path: Path) -> None:
    directory = tmp_path / "agent"
    stopped = {"service_state": "stopped", "enabled": False}
    specs = specs_of(parameters(directory, ca_bundle="PEM\n", **stopped))
    apply_all(converge.present(specs, None, root=False))
    path = directory / "ca-bundle.crt"
    assert path.read_text().endswith("PEM\n")
    assert f"SSL_CERT_FILE={path}" in (directory / "kraken.env").read_text()
    assert converge.present(specs, None, root=False) == []
    apply_all(converge.present(specs_of(parameters(directory, **stopped)), None, root=False))
    assert not path.exists()
    path.write_text("somebody's own")
    assert converge.present(specs_of(parameters(directory, **stopped)), None, root=False) == []


def test_krakens_own_agent_is_known_by_its_file_and_keeps_its_version(tmp_path: Path) -> None:
    assert agent_of(UPSTREAMS) == UPSTREAM
    assert agent_of(shiv_file("MANIFEST.json", "kraken_agent/cli.py")) == OURS
    assert agent_of(b"#!python something") == OURS
    release = tmp_path / "agent" / "versions" / "1.7-0"
    release.mkdir(parents=True)
    (release / "kkagent").write_bytes(UPSTREAMS)
    (agent,) = specs_of(parameters(tmp_path / "agent", releases={"": "1.7-0"}, address="127.0.0.1"))
    assert agent.agent == UPSTREAM
    assert agent.command[-2:] == ["run", "--no-update"]
    assert "KRAKEN_AGENT_ADDRESS" not in agent.environment


def test_a_link_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "agent").symlink_to(tmp_path / "real")
    specs = specs_of(parameters(tmp_path / "agent"))
    with pytest.raises(HostError, match="is a link"):
        converge.present(specs, None, root=False)
