"""Hosts as they are elsewhere: several agents on one, sudo with a password, the net behind a proxy."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kraken_fleet.lab.server import client_for
from kraken_fleet.lab.state import lab_paths

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e.forward_proxy import ForwardProxy
from tests.e2e.real_lab import LabOptions, RealLab, Recap

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]

DEPLOY, REMOVE = "deploy-agents.yml", "remove-agents.yml"
HOST, OTHER = "build-1", "build-2"
PASSWORD = "Correct-Horse-77"
PROXY_PASSWORD = "s3cretProxyWord"


LAB = LabOptions("access", "access")


def play(lab: RealLab, playbook: str, host: str, variables: dict[str, Any], *arguments: str) -> Recap:
    """A playbook on one host with variables of its own, which are in an inventory and not on a command line."""
    extra = lab.parent / "extra.yml"
    extra.write_text(yaml.safe_dump({"kraken_agents": {"hosts": {host: variables}}}))
    inventories = ("-i", str(lab.directory / "hosts.yml"), "-i", str(extra))
    return lab.play(playbook, *inventories, "--limit", host, *arguments)


def succeeded(recap: Recap, host: str, *, changes: bool) -> None:
    assert recap.code == 0, recap.output
    assert bool(recap.changed[host]) is changes, recap.output


def make_account(lab: RealLab, name: str, shell: str, sudo: str) -> None:
    """An account on the other host, with the lab's key and a password."""
    commands = (
        f"set -e; useradd --create-home --shell {shell} {name}; install -d -m 700 -o {name} /home/{name}/.ssh;"
        f" install -m 600 -o {name} /root/.ssh/authorized_keys /home/{name}/.ssh/;"
        f" echo '{name}:{PASSWORD}' | chpasswd; echo '{name} ALL=(ALL) {sudo}' >/etc/sudoers.d/{name}"
    )
    # Through the engine: Ansible would write the command into the host's journal.
    subprocess.run(["docker", "exec", lab.container(OTHER), "sh", "-c", commands], check=True)


def test_several_agents_on_one_host(lab: RealLab) -> None:
    first = lab.addresses()[0]
    second = first.rpartition(".")[0] + ".200"
    inspect = ["docker", "inspect", "--format", "{{.State.Pid}}", lab.container(HOST)]
    process = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.strip()
    enter = ["nsenter", "--net", "--target", process]
    subprocess.run([*enter, "ip", "address", "add", f"{second}/16", "dev", "eth0"], check=True)
    instances = [
        {"name": "small", "address": first, "groups": ["small"]},
        {"name": "big", "address": second, "groups": ["big"], "dir": "/srv/kraken-big", "unit": "kraken-agent-large"},
    ]
    variables = {"kraken_agent_instances": instances}
    succeeded(play(lab, DEPLOY, HOST, variables), HOST, changes=True)
    agents = {agent["address"]: agent for agent in lab.asked("agents", "list")}
    assert {address: {group["name"] for group in agent["groups"]} for address, agent in agents.items()} == {
        first: {"all", "build", "small"},
        second: {"all", "build", "big"},
    }
    # Each connects from its own address, has its own unit and directory, and has run a job.
    assert {address: agent["ip_address"] for address, agent in agents.items()} == {first: first, second: second}
    units = (
        "systemctl is-active kraken-agent-small kraken-agent-large && ls -d /opt/kraken-small/data /srv/kraken-big/data"
    )
    on_host = lab.on_hosts(units, HOST)[HOST].split("\\n")
    assert on_host == ["active", "active", "/opt/kraken-small/data", "/srv/kraken-big/data"]
    paths = lab_paths(lab.parent, lab.name)
    with client_for(paths, lab.asked("lab", "status", *lab.named())["server_url"]) as client:
        jobs = {
            address: {str(job.agents_group_name) for job in client.agent_jobs(agent["id"])}
            for address, agent in agents.items()
        }
    # A proof is of the very agent: its job runs in a group that only this agent is in for the time.
    assert all(any(name.startswith("kraken-fleet-proof-") for name in names) for names in jobs.values()), jobs
    assert jobs[first].isdisjoint(jobs[second])
    succeeded(play(lab, DEPLOY, HOST, variables), HOST, changes=False)

    succeeded(play(lab, REMOVE, HOST, variables), HOST, changes=True)
    assert lab.asked("agents", "list") == []
    left = "ls -d /opt/kraken* /srv/kraken* /etc/systemd/system/kraken* 2>/dev/null; getent passwd kraken; true"
    assert lab.on_hosts(left, HOST) == {HOST: ""}


def test_a_user_who_is_not_root_and_sudo_with_and_without_a_password(lab: RealLab) -> None:
    make_account(lab, "open", "/bin/bash", "NOPASSWD: ALL")
    make_account(lab, "closed", "/bin/bash", "ALL")
    with_password = {"ansible_user": "closed", "ansible_become_password": PASSWORD}
    refused = play(lab, DEPLOY, OTHER, {"ansible_user": "closed"})
    assert refused.code != 0
    assert refused.failed[OTHER] + refused.unreachable[OTHER] == 1
    assert re.search(r"sudo.*password|password.*(required|sudo)", refused.output, re.IGNORECASE), refused.output

    deployed = play(lab, DEPLOY, OTHER, with_password, "-vvv", "--diff")
    succeeded(deployed, OTHER, changes=True)
    assert PASSWORD not in refused.output + deployed.output
    succeeded(play(lab, DEPLOY, OTHER, {"ansible_user": "open"}), OTHER, changes=False)
    wrong = play(lab, DEPLOY, OTHER, {**with_password, "ansible_become_password": f"not-{PASSWORD}"}, "-vvv")
    assert wrong.code != 0
    assert PASSWORD not in wrong.output
    assert "incorrect" in wrong.output.lower(), wrong.output
    # What is removed by the one was put there by the other.
    succeeded(play(lab, REMOVE, OTHER, {"ansible_user": "open"}), OTHER, changes=True)
    left = ["sh", "-c", f"ls -A /opt; grep -rl {PASSWORD} /home /root /tmp /run/log /var/log"]
    found = subprocess.run(["docker", "exec", lab.container(OTHER), *left], capture_output=True, text=True, check=False)
    assert found.stdout == "", "something of the agent or the password is left on the host"


def test_a_user_whose_login_shell_is_tcsh(lab: RealLab) -> None:
    shell = Path(shutil.which("tcsh") or "/usr/bin/tcsh").resolve()
    subprocess.run(["docker", "cp", str(shell), f"{lab.container(OTHER)}:/bin/tcsh"], check=True)
    make_account(lab, "csh", "/bin/tcsh", "ALL")
    profile = """echo 'printf "loading profile... "' >/home/csh/.cshrc"""
    subprocess.run(["docker", "exec", lab.container(OTHER), "sh", "-c", profile], check=True)
    account = {"ansible_user": "csh", "ansible_become_password": PASSWORD}
    succeeded(play(lab, DEPLOY, OTHER, account), OTHER, changes=True)
    # Without pipelining Ansible itself takes what the profile prints for a part of its directory.
    succeeded(play(lab, DEPLOY, OTHER, account), OTHER, changes=False)
    succeeded(play(lab, REMOVE, OTHER, account), OTHER, changes=True)


def test_what_a_host_downloads_goes_through_the_agents_proxy(lab: RealLab) -> None:
    server = lab.asked("lab", "status", *lab.named())["server_url"]
    # Whoever looks at the command lines of the host meanwhile sees no password; it is backwards on the spy's own.
    spy = (
        f"echo {PROXY_PASSWORD[::-1]} | rev >/root/word; while [ -e /root/word ]; do"
        " cat /proc/[0-9]*/cmdline 2>/dev/null | grep -qaf /root/word && touch /root/seen; sleep 0.05; done"
    )
    lab.on_hosts("dpkg --purge --force-depends git", OTHER)
    with ForwardProxy.started(server.split("//")[1].rpartition(":")[0], f"fleet:{PROXY_PASSWORD}") as proxy:
        subprocess.run(["docker", "exec", "--detach", lab.container(OTHER), "sh", "-c", spy], check=True)
        variables = {
            "kraken_agent_environment": {"http_proxy": proxy.url, "no_proxy": "localhost"},
            "kraken_agent_source": "server",
        }
        deployed = play(lab, DEPLOY, OTHER, variables, "--diff", "-vv", "--tags", "agent")
        seen = list(proxy.seen)
        again = play(lab, DEPLOY, OTHER, variables, "--tags", "agent")
        environment = lab.on_hosts("tr '\\0' '\\n' </proc/$(systemctl show -P MainPID kraken-agent)/environ", OTHER)
        spied = lab.on_hosts("rm /root/word; ls /root/seen 2>/dev/null; true", OTHER)
    succeeded(deployed, OTHER, changes=True)
    assert any(one.startswith("GET http://") and "/git_" in one for one in seen), seen
    assert any(one.startswith(f"GET {server}") and "/install/agent" in one for one in seen), seen
    assert any(one.startswith(f"GET {server}") and "/install/tool" in one for one in seen), seen
    assert f"http_proxy={proxy.url}" in environment[OTHER].split("\\n")
    succeeded(again, OTHER, changes=False)
    assert PROXY_PASSWORD not in deployed.output
    assert spied == {OTHER: ""}
