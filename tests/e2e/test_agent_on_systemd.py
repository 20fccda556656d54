"""The deployed agent under a real systemd: what it may do, how it stops, and what the service manager does with it."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.e2e.real_lab import ROOT
from tests.e2e.systemd_host import UNIT, SystemdHost
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(400)]

SECRET = "hidden-word"
# Enough for an agent and a small step, and little enough for a test.
MEMORY = {"MemoryMax": "150M", "MemorySwapMax": "0"}
# A proxy that is never asked, since the server is an exception: a password among the agent's settings.
SETTINGS = {"http_proxy": f"http://me:{SECRET}@proxy.example:3128", "no_proxy": "*"}
AGENT = {
    "kraken_agent_unit_settings": MEMORY,
    "kraken_agent_environment": SETTINGS,
    "kraken_agent_drain_seconds": 60,
    "kraken_registration_trust": "attested",
}


@pytest.fixture(scope="module")
def host(systemd_host: SystemdHost) -> SystemdHost:
    systemd_host.deploy(**AGENT)
    return systemd_host


def test_jobs_run_as_kraken_and_cannot_become_root(host: SystemdHost) -> None:
    job = host.job("id -un; umask; sudo -n true || echo no sudo; grep NoNewPrivs /proc/self/status")
    printed = host.printed(job, "NoNewPrivs")
    assert printed[0] == "kraken"
    assert "no sudo" in printed
    assert printed[-1].split() == ["NoNewPrivs:", "1"]
    assert host.out("ls /etc/sudoers.d") == "README"
    assert host.out("id -nG kraken") == "kraken"


def test_the_exposure_is_the_one_that_the_documentation_tells(host: SystemdHost) -> None:
    said = host.out(f"systemd-analyze security --no-pager {UNIT} | tail -1")
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+) ", said)
    assert found, said
    documented = re.search(r"an exposure of ([0-9.]+)", (ROOT / "docs" / "agent.md").read_text())
    assert documented
    assert found[1] == documented[1]


def test_job_directories_are_the_agents_alone_and_nothing_is_open_to_everybody(host: SystemdHost) -> None:
    job = host.job("mkdir sub; touch sub/file")
    assert host.out(f"stat -c '%a %U' /opt/kraken/data/jobs/{job.id}") == "700 kraken"
    assert host.out("stat -c '%a %U' /opt/kraken/data") == "700 kraken"
    assert host.out("stat -c '%a %U %G' /opt/kraken/kraken.env") == "640 root kraken"
    assert host.out("stat -c '%a %U' /opt/kraken/nonce") == "600 kraken"
    assert host.out("find /opt/kraken ! -type l -perm /o+w") == ""
    # What runs the agent is not the agent's to change.
    assert host.out("find /opt/kraken/versions /opt/kraken/current /opt/kraken -maxdepth 0 -user kraken") == ""


def test_secrets_are_in_no_command_line_and_no_title(host: SystemdHost) -> None:
    nonce = host.out("cat /opt/kraken/nonce")
    run = host.start("sleep 5; echo over")
    until(lambda: host.run("pgrep -u kraken sleep").returncode == 0, otherwise="the step did not begin")
    titles = host.out("cat /proc/[0-9]*/cmdline /proc/[0-9]*/comm 2>/dev/null | tr '\\0' ' '")
    assert "kkagent run" in titles
    assert "sleep 5" in titles
    assert nonce not in titles
    assert SECRET not in titles
    host.finish(run)
    journal = host.out(f"journalctl --no-pager -u {UNIT}")
    assert nonce not in journal
    assert SECRET not in journal


def test_a_step_without_enough_memory_fails_with_the_reason_and_the_agent_lives(host: SystemdHost) -> None:
    """The limit is the service's own: the kernel chooses among the agent and its step."""
    before = host.await_agent()
    killed = killed_for_memory(host)
    job = host.job("python3 -c 'x = bytearray(400_000_000); print(len(x))'", "echo not reached")
    assert not job.succeeded
    result = host.result(job)
    assert result["reason"] == "retcode"
    assert "memory ran out" in str(result["msg"])
    assert killed_for_memory(host) > killed
    # A step that fails later, and for another reason, is not mistaken for one of these.
    assert "memory" not in str(host.result(host.job("exit 3"))["msg"])
    assert host.property("MainPID") == str(before)
    assert host.property("NRestarts") == "0"
    assert host.job("echo lives").succeeded


def killed_for_memory(host: SystemdHost) -> int:
    """How many processes of the service the kernel has ended for want of memory, as it counts them itself."""
    group = host.property("ControlGroup")
    files = f"/sys/fs/cgroup{group}/memory.events /sys/fs/cgroup/memory{group}/memory.oom_control"
    return int(host.out(f"cat {files} 2>/dev/null | sed -n 's/^oom_kill //p'"))


def test_a_stop_lets_the_job_come_to_its_end(host: SystemdHost) -> None:
    host.await_agent()
    run = host.start("echo begun; sleep 6; echo ended", "echo next")
    until(lambda: host.run("pgrep -u kraken sleep").returncode == 0, otherwise="the step did not begin")
    host.out(f"systemctl stop {UNIT}")
    assert host.property("Result") == "success"
    job = host.finish(run)
    assert job.succeeded
    assert [line for line in host.printed(job, "next") if line in ("begun", "ended", "next")] == [
        "begun",
        "ended",
        "next",
    ]
    host.out(f"systemctl start {UNIT}")


PLACES = "$HOME $HOME/.. /tmp /var/tmp /dev/shm /dev/mqueue /run/lock"
LOOK = f"ls -AR {PLACES} | grep -x left; pgrep -fx 'sleep 987'; echo looked at $HOME"
LEAVE = (
    f"for place in {PLACES}; do touch $place/left; done; setsid sleep 987 >/dev/null 2>&1 &",
    # In the place of what the agent keeps; then without what it needs to start.
    "cd $HOME/.. && rm -f one-job && mkdir -p in-container/left spool/left.json && chmod 000 spool .",
)


def test_a_fresh_agent_runs_each_job_and_finds_nothing_of_the_one_before(host: SystemdHost) -> None:
    # What jobs of an agent leave that keeps it: their home is the data directory.
    assert host.job("mkdir -p $HOME/.cache/left").succeeded
    # With another process of the account, systemd would keep what jobs share in memory.
    host.out("systemd-run --quiet --uid=kraken --unit=beside sleep 986")
    host.deploy(**AGENT, kraken_agent_one_job=True)
    assert host.property("Restart") == "always"
    (record,) = host.client.agents()
    agents: set[int] = set()
    for _ in range(3):
        until(lambda: host.await_agent() not in {0, *agents}, otherwise="no fresh agent was started")
        agents.add(host.await_agent())
        job = host.job(LOOK, *LEAVE)
        assert job.succeeded
        lines = host.printed(job, "looked at")
        assert "left" not in lines
        assert not [line for line in lines if line.isdigit()]
        assert "looked at /opt/kraken/data/home" in lines
    assert len(agents) == 3
    (afterwards,) = host.client.agents()
    assert (afterwards.id, afterwards.authorized) == (record.id, True)
    until(lambda: host.run("pgrep -fx 'sleep 987'").returncode == 1, otherwise="a process of the job lives")
    host.deploy(**AGENT)


def test_a_reload_reads_the_settings_again_without_a_restart(host: SystemdHost) -> None:
    before = host.await_agent()
    count = int(host.out(f"journalctl -u {UNIT} | grep -c 'settings were read again' || true"))
    host.out(f"systemctl reload {UNIT}")
    said = f"journalctl -u {UNIT} | grep -c 'settings were read again' || true"
    until(lambda: int(host.out(said)) == count + 1, otherwise="the agent did not read its settings")
    assert host.property("MainPID") == str(before)
    assert host.job("echo still here").succeeded


def test_an_agent_that_hangs_is_started_again(host: SystemdHost) -> None:
    drop_in = f"/run/systemd/system/{UNIT}.service.d"
    host.out(f"mkdir -p {drop_in} && printf '[Service]\\nWatchdogSec=10\\nRestartSec=1\\n' > {drop_in}/test.conf")
    try:
        host.out(f"systemctl daemon-reload && systemctl restart {UNIT}")
        hung = host.await_agent()
        assert host.property("Type") == "notify"
        host.out(f"kill -STOP {hung}")
        until(lambda: host.property("NRestarts") != "0", otherwise="systemd did not start the agent again")
        assert host.await_agent() != hung
        assert "Watchdog timeout" in host.out(f"journalctl -u {UNIT}")
    finally:
        host.out(f"rm -r {drop_in} && systemctl daemon-reload && systemctl restart {UNIT}")
    assert host.job("echo back").succeeded


def test_a_daemon_does_not_outlive_an_agent_that_is_killed(host: SystemdHost) -> None:
    """It has no parent, group, session, variable or directory of the job; systemd knows it by its control group."""
    killed = host.await_agent()
    daemon = "env -i setsid sh -c 'cd / && (trap \"\" TERM; sleep 7654 </dev/null >/dev/null 2>&1 &)'"
    # The agent that takes its place runs the job again.
    run = host.start(f"test -e again && exit; touch again; {daemon}; sleep 60")
    until(lambda: host.run("pgrep -f '^sleep 7654'").returncode == 0, otherwise="the daemon did not begin")
    host.out(f"kill -KILL {killed}")
    until(lambda: host.run("pgrep -f '^sleep 7654'").returncode == 1, otherwise="the daemon outlived its agent")
    assert host.finish(run).succeeded
    assert host.await_agent() != killed


def test_sudo_is_there_when_it_is_asked_for_and_gone_when_not(host: SystemdHost) -> None:
    file = "/etc/sudoers.d/kraken-agent-kraken"
    host.deploy(**AGENT, kraken_agent_sudo=True)
    assert host.out(f"stat -c '%a %U' {file}") == "440 root"
    assert "parsed OK" in host.out("visudo -c")
    assert host.printed(host.job("sudo -n id -un"), "root") == ["root"]
    again = host.deploy(**AGENT, kraken_agent_sudo=True)
    assert set(again.changed.values()) == {0}
    host.deploy(**AGENT)
    assert host.run(f"test -e {file}").returncode == 1


def test_an_account_that_the_agent_ran_as_has_no_sudo_any_more(host: SystemdHost) -> None:
    host.deploy(**AGENT, kraken_agent_sudo=True)
    host.deploy(**AGENT, kraken_agent_sudo=True, kraken_agent_user="builder")
    assert host.out("ls /etc/sudoers.d").split() == ["README", "kraken-agent-builder"]
    assert host.printed(host.job("sudo -n id -un; id -un"), "builder") == ["root", "builder"]
    host.deploy(**AGENT)
    assert host.out("ls /etc/sudoers.d") == "README"
    host.out("userdel builder")  # other tests look at the accounts of this host


def test_a_restart_is_not_lost_when_a_deploy_is_killed_before_it(host: SystemdHost) -> None:
    before, greeted = host.await_agent(), {**AGENT, "kraken_agent_environment": {"GREETING": "hello"}}
    # Found before the real one; only a restart does not come to it.
    kills = '#!/bin/sh\ncase $1 in restart) kill -KILL $PPID ;; *) exec /usr/bin/systemctl "$@" ;; esac\n'
    host.out(f"printf %s {shlex.quote(kills)} >/usr/local/bin/systemctl; chmod +x /usr/local/bin/systemctl")
    try:
        assert host.try_to_deploy(**greeted).code != 0
    finally:
        host.out("rm /usr/local/bin/systemctl")
    assert host.await_agent() == before
    host.deploy(**greeted)
    assert host.await_agent() != before
    assert host.printed(host.job("echo $GREETING"), "hello") == ["hello"]
    again = host.deploy(**greeted)
    assert set(again.changed.values()) == {0}
    assert host.run("test -e /opt/kraken/restart-due").returncode == 1
