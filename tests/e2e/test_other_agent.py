"""A host with another agent than kraken-fleet's, which has the habits of Kraken's own: tests/stand_in_agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import stand_in_agent
from tests.e2e.real_lab import RealLab, real_lab
from tests.e2e.systemd_host import UNIT, SystemdHost
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

SERVED, BEFORE = "1.7.36", "1.7.35"
LINKS = "readlink /opt/kraken/kkagent /opt/kraken/kktool"
LEFT = (
    "ls -d /opt/kraken /etc/systemd/system/kraken-agent* /lib/systemd/system/kraken-agent* /etc/sudoers.d/kraken*"
    " 2>/dev/null; getent passwd kraken; true"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLab]:
    """A lab of one host, whose server serves the other agent as the unmodified one serves Kraken's own."""
    with real_lab(tmp_path_factory.mktemp("other"), "other", 1) as made:
        _serve(made, SERVED)
        yield made


def _serve(lab: RealLab, version: str) -> None:
    """Let the lab's server serve the other agent's files in the place of its own."""
    served = f"{lab.settings()['KRAKEN_FLEET_SERVER']}/bk/install/agent"
    # The server builds its own files for whoever asks first, and then serves what is there.
    requests.get(served, timeout=60).raise_for_status()
    bundles = lab.directory / "server" / "bundles"
    stand_in_agent.build(bundles, version)
    assert requests.get(served, timeout=60).content == (bundles / "kkagent").read_bytes()


@pytest.fixture(scope="module")
def host(lab: RealLab) -> SystemdHost:
    return SystemdHost(lab)


def bundle(directory: Path, version: str) -> dict[str, Any]:
    """Variables that bring the other agent's files from the controller."""
    return {**stand_in_agent.bundle(directory, version), "kraken_agent_bundle_version": version}


def proven(host: SystemdHost, said: str, **variables: Any) -> None:
    """Deploy, see a job and its log, and see that a second deploy changes nothing."""
    host.deploy(**variables)
    job = host.job(f"echo {said}")
    assert job.succeeded
    assert any(said in line for line in host.printed(job, said))
    assert set(host.deploy(**variables).changed.values()) == {0}


def test_its_files_from_the_controller_run_jobs_and_old_jobs_go(host: SystemdHost, tmp_path: Path) -> None:
    proven(host, "by-bundle", **bundle(tmp_path, SERVED))
    assert host.out(LINKS).split() == ["current/kkagent", "current/kktool"]
    host.job("true")
    assert len(host.out("ls /opt/kraken/data/jobs").split()) == 1, "the directories of old jobs pile up"
    assert "set kraken_agent_sudo to true" in "\n".join(host.printed(host.job("sudo id; true"), "no sudo"))
    assert host.property("NoNewPrivileges") == "yes"


def test_a_host_moves_to_our_agent_and_back(host: SystemdHost, tmp_path: Path) -> None:
    proven(host, "ours")
    assert host.run(LINKS).stdout == ""
    assert host.run("ls -d /opt/kraken/bin").stdout == ""
    proven(host, "back", **bundle(tmp_path, SERVED))


def test_the_server_brings_it_and_with_sudo_it_follows_the_servers_version(host: SystemdHost, tmp_path: Path) -> None:
    proven(host, "by-server", kraken_agent_bundle="", kraken_agent_source="server")
    following = {"kraken_agent_sudo": True, "kraken_agent_update": "server", **bundle(tmp_path, BEFORE)}
    host.deploy()  # one that follows its server's version would keep the version that it has
    host.deploy(**following)
    until(
        lambda: f"/opt/kraken/{SERVED}/kkagent" in host.run(LINKS).stdout,
        otherwise="it has not updated itself",
    )
    proven(host, "updated", **following)
    assert host.out(LINKS).split() == [f"/opt/kraken/{SERVED}/{name}" for name in ("kkagent", "kktool")]
    proven(host, "managed again", **bundle(tmp_path, SERVED))
    assert host.run(f"ls -d /opt/kraken/{SERVED}").stdout == ""


def test_what_it_cannot_do_is_refused_by_name(lab: RealLab, tmp_path: Path) -> None:
    given = {**bundle(tmp_path, SERVED), "kraken_agent_dir": "/srv/kraken", "kraken_agent_update": "server"}
    options = [word for name, value in given.items() for word in ("-e", f"{{{name!r}: {value!r}}}")]
    done = lab.play("deploy-agents.yml", *options)
    assert done.code != 0
    assert "Kraken's own agent has /opt/kraken in its code" in done.output
    assert "which kraken_agent_sudo is to give it" in done.output


def test_a_removal_leaves_nothing_of_it(host: SystemdHost) -> None:
    host.remove()
    assert host.out(LEFT) == ""


def test_an_installation_by_hand_is_taken_over_and_removed(lab: RealLab, host: SystemdHost, tmp_path: Path) -> None:
    server = lab.settings()["KRAKEN_FLEET_SERVER"]
    fetch = f"from urllib.request import urlretrieve; urlretrieve('{server}/bk/install/agent', '/root/kkagent')"
    host.out(f'python3 -c "{fetch}" && python3 /root/kkagent install -s {server} && rm /root/kkagent')
    assert host.out(f"systemctl is-active {UNIT}") == "active"
    proven(host, "taken over", **bundle(tmp_path, SERVED))
    host.remove()
    assert host.out(LEFT) == ""


def test_the_servers_script_leaves_an_agent_that_works(host: SystemdHost) -> None:
    host.out("apt-get update -qq && apt-get install -y -qq --no-install-recommends curl")
    proven(
        host,
        "by-script",
        kraken_agent_bundle="",
        kraken_agent_install_method="script",
        kraken_server_manage_settings=True,
        kraken_clickhouse_addr=host.log_address(),
    )
    assert host.out(LINKS).split() == ["current/kkagent", "current/kktool"]
    host.remove()
    assert host.out(LEFT) == ""
