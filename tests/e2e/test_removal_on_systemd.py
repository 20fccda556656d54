"""What a removal leaves on a host with systemd."""

from __future__ import annotations

import pytest

from tests.e2e.systemd_host import SystemdHost

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(400)]

# Everything that has the agent's name: files wherever they are, accounts, groups, units, processes.
_TRACES = (
    "find / -xdev -ignore_readdir_race -iname '*kraken*' -not -path '/var/log/*' -not -path '/root/.ansible/*' | sort;"
    " getent passwd | grep -i kraken; getent group | grep -i kraken;"
    " systemctl list-units --all --plain --no-legend '*kraken*'; systemctl list-unit-files --no-legend '*kraken*';"
    " pgrep -af [k]kagent; true"
)


def test_a_removal_leaves_nothing_but_what_it_is_told_to_keep(systemd_host: SystemdHost) -> None:
    host = systemd_host
    host.deploy(kraken_agent_sudo=True)
    job = host.job("echo kept > kept")
    traces = host.out(_TRACES)
    for one in ("/etc/sudoers.d/kraken-agent-kraken", "/opt/kraken/kraken.env", "kraken:x:", "kkagent run"):
        assert one in traces, "else this test sees nothing"

    keep = {"kraken_agent_keep_user": True, "kraken_agent_keep_data": True}
    host.remove(**keep)
    left = host.out(_TRACES).splitlines()
    assert [line.split(":")[0] for line in left] == ["/opt/kraken", "kraken", "kraken"], left
    assert host.out("ls /opt/kraken") == "data"
    assert host.out(f"find /opt/kraken/data/jobs/{job.id} -name kept") != ""
    assert set(host.remove(**keep).changed.values()) == {0}

    host.remove()
    assert host.out(_TRACES) == ""
    assert [agent.address for agent in (*host.client.agents(), *host.client.agents(unauthorized=True))] == []
    assert set(host.remove().changed.values()) == {0}
