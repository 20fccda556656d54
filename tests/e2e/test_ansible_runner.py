"""The playbook under ansible-runner, as AWX runs it: slices of a job, each with a part of the hosts, all at once."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
import yaml

from tests.e2e.loopback_fleet import Fleet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SLICES = (("one", "three"), ("two",))


def begin(fleet: Fleet, hosts: Sequence[str], folder: Path) -> tuple[Any, Any]:
    """Begins one slice in a directory of its own; its thread, and what is known of it when that has ended."""
    part = copy.deepcopy(fleet.inventory)
    everyone = part["kraken_agents"]["hosts"]
    part["kraken_agents"]["hosts"] = {name: everyone[name] for name in hosts}
    (folder / "inventory").mkdir(parents=True)
    (folder / "inventory" / "hosts.yml").write_text(yaml.safe_dump(part))
    _command, environment = fleet.prepared("deploy-agents.yml")
    begun: tuple[Any, Any] = ansible_runner.run_async(
        private_data_dir=str(folder),
        playbook="kraken_ci.fleet.deploy_agents",
        envvars={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": environment["PYTHONPATH"],
            "ANSIBLE_HOME": str(folder),  # and no configuration of ours, as in AWX
        },
        quiet=True,
    )
    return begun


def test_slices_of_a_job_deploy_and_register_beside_each_other(new_fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    fleet = new_fleet("one", "two", "three")
    fleet.variables["kraken_agent_groups"] = ["apart"]
    for turn, changes in (("first", True), ("second", False)):
        begun = [begin(fleet, hosts, tmp_path / turn / hosts[0]) for hosts in SLICES]
        for (thread, runner), hosts in zip(begun, SLICES, strict=True):
            thread.join()
            assert (runner.status, runner.rc) == ("successful", 0), runner.stdout.read()
            assert set(runner.stats["ok"]) == set(hosts)
            assert bool(runner.stats["changed"]) == changes, runner.stdout.read()
        agents = fleet.agents()
        assert len(agents) == 3
        assert all(agent.authorized and agent.group_names == {"all", "apart"} for agent in agents.values())
