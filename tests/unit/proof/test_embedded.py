"""Verification on the embedded server, with an agent that speaks the real protocol and sends its log by UDP."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.model import Agent, Owner, OwnGroup, is_own_group
from kraken_fleet.proof.agents import verify_agents
from kraken_fleet.proof.groups import require_proofs, verify_groups
from kraken_fleet.reconcile.owner import owner_of
from kraken_fleet.server.testing import RunningServer, running
from tests.stages import shell_job, stage_code

ADDRESS = "127.0.0.77"
ME = owner_of(os.getpid())


class ToyAgent(threading.Thread):
    """Does the `echo` jobs of verifications."""

    def __init__(self, server: RunningServer) -> None:
        super().__init__(daemon=True)
        host, _, port = server.log_addr.rpartition(":")
        self._backend, self._log_address = f"{server.url}/backend", (host, int(port))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.stopping = threading.Event()

    def say(self, msg: str, **fields: object) -> Any:
        return requests.post(self._backend, json={"address": ADDRESS, "msg": msg, **fields}, timeout=100).json()

    def run(self) -> None:
        while not self.stopping.wait(0.05):
            if job := self.say("get-job").get("job"):
                self._do(job)
        self._socket.close()

    def _do(self, job: dict[str, Any]) -> None:
        while not (step := self.say("get-job-step")["job_step"]).get("finish"):
            for message in (f"exec: {step['cmd']}", step["cmd"].removeprefix("echo ")):
                self._log(message, job, step)
            self.say("step-result2", job_id=job["id"], step_idx=step["index"], result={"status": "done", "duration": 1})

    def _log(self, message: str, job: dict[str, Any], step: dict[str, Any]) -> None:
        about = {"job": job["id"], "run": job["run_id"], "flow": job["flow_id"], "branch": job["branch_id"]}
        # As Kraken's own agent does it: no record names a tool.
        what = {"service": "agent", "host": "toy", "level": "INFO", "step": step["index"]}
        record = {"@timestamp": datetime.now(UTC).isoformat(), "message": message, **about, **what}
        self._socket.sendto(json.dumps(record).encode(), self._log_address)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KrakenClient]:
    """A server with one authorized agent in the group `gpu`, and the empty group `empty`."""
    monkeypatch.setenv("KRAKEN_FLEET_STATE_DIR", str(tmp_path / "state"))
    with running(tmp_path) as server:
        agent = ToyAgent(server)
        agent.say("host-info", info={"system": "debian-12", "system_type": "linux"})
        with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
            (known,) = client.agents(unauthorized=True)
            client.set_authorized([known.id])
            client.create_group("empty")
            client.set_agent_groups(known.id, [1, client.create_group("gpu").id])
            agent.start()
            yield client
            agent.stopping.set()
            agent.join()


def test_jobs_run_and_their_log_lines_come_back_twice_in_a_row(client: KrakenClient) -> None:
    for _ in range(2):
        proofs = require_proofs(verify_groups(client, ["gpu", "all"], timeout=90))
        assert {proof.group: proof.agent for proof in proofs} == {"gpu": ADDRESS, "all": ADDRESS}
        assert len({proof.log_line for proof in proofs}) == 1
    assert len(client.projects()[-1].branches) == 1
    assert [project.name for project in client.projects()].count("kraken-fleet") == 1


def test_a_group_without_agents_fails_at_once_and_alone(client: KrakenClient) -> None:
    proofs = {proof.group: proof for proof in verify_groups(client, ["empty", "gpu"], timeout=90)}
    assert proofs["gpu"].proven
    assert proofs["empty"].failure == "there are no agents in group 'empty' - add some agents"


def test_groups_are_deleted_and_made_again_and_still_run_jobs(client: KrakenClient) -> None:
    (agent,) = client.agents()
    old = next(group for group in client.groups() if group.name == "gpu")
    client.delete_group(old.id, force=True)
    client.set_agent_groups(agent.id, [1, client.create_group("gpu").id])
    assert [proof.proven for proof in verify_groups(client, ["gpu"], timeout=90)] == [True]
    assert client.group(old.id).name == f"gpu-deleted-{old.id}"


def own_groups(client: KrakenClient) -> list[str]:
    return [group.name for group in client.groups() if is_own_group(group.name)]


@pytest.mark.parametrize("alone", [False, True])
def test_an_agent_is_proven_in_a_group_of_its_own_and_then_is_as_it_was(client: KrakenClient, alone: bool) -> None:
    (agent,) = client.agents()
    ((proven, proof),) = verify_agents(client, [agent], ME, alone=alone, timeout=90)
    assert (proven.id, proof.proven, proof.agent) == (agent.id, True, ADDRESS)
    after = client.agent(agent.id)
    assert (after.disabled, after.groups) == (False, agent.groups)
    assert own_groups(client) == []


def test_a_proof_keeps_the_groups_that_an_agent_has_come_into_since_it_was_looked_at(client: KrakenClient) -> None:
    (seen,) = client.agents()
    proofs = verify_agents(client, [seen], ME, timeout=90)
    early, late = (client.create_group(name).id for name in ("early", "late"))
    client.set_agent_groups(seen.id, [*(ref.id for ref in seen.groups), early])
    next(proofs)
    # The proof is done, and the agent is still in the group that was made for it.
    client.set_agent_groups(seen.id, [*(ref.id for ref in client.agent(seen.id).groups), late])
    assert list(proofs) == []
    assert client.agent(seen.id).group_names == seen.group_names | {"early", "late"}


def test_a_disabled_agent_is_enabled_for_a_proof_alone_only(client: KrakenClient) -> None:
    (agent,) = client.agents()
    before = client.disable_agent(agent.id)
    assert [proof.proven for _, proof in verify_agents(client, [before], ME, alone=True, timeout=90)] == [True]
    after = client.agent(agent.id)
    assert (after.disabled, after.groups) == (True, before.groups)


def test_an_agent_without_proof_is_as_it_was_too(client: KrakenClient) -> None:
    dead = _another(client)
    ((_, proof),) = verify_agents(client, [dead], ME, timeout=1)
    assert proof.failure == "no agent has taken the job in 1 s"
    after = client.agent(dead.id)
    assert (after.enabled, after.group_names, own_groups(client)) == (dead.enabled, {"all"}, [])


def _another(client: KrakenClient) -> Agent:
    """An authorized agent that has spoken once and does nothing."""
    requests.post(f"{client.url}/backend", json={"address": "127.0.0.78", "msg": "get-job"}, timeout=60)
    (agent,) = client.agents(unauthorized=True)
    client.set_authorized([agent.id])
    return client.agent(agent.id)


def test_what_a_killed_verification_has_left_is_undone_by_the_next(client: KrakenClient) -> None:
    (agent,) = client.agents()
    other = _another(client)
    ended = Owner(ME.host, ME.pid, ME.started + 1)  # the process id is used again
    ids = tuple(sorted(ref.id for ref in agent.groups))
    taken_out = client.make_passing_group(OwnGroup("proof", ended, 1, 0, ids, disabled=True).name)
    beside = client.make_passing_group(OwnGroup("proof", ended, 1, 1).name)
    earlier = client.create_group("kraken-fleet-verify-1")
    client.set_agent_groups(agent.id, [taken_out.id])
    client.set_agent_groups(other.id, [1, beside.id])
    (known,) = [one for one in client.agents() if one.id == other.id]
    list(verify_agents(client, [known], ME, timeout=1))
    after = client.agent(agent.id)
    assert (after.groups, after.disabled) == (agent.groups, True)
    assert (client.agent(other.id).group_names, own_groups(client)) == ({"all"}, [])
    assert earlier.id not in {group.id for group in client.groups()}


def test_the_groups_of_a_verification_that_goes_on_are_left_alone(client: KrakenClient) -> None:
    (agent,) = client.agents()
    now = int(client.server_time().timestamp())
    elsewhere = OwnGroup("proof", Owner("0123456789", 1, 1), now, 0)
    theirs = client.make_passing_group(elsewhere.name)
    list(verify_agents(client, [agent], ME, timeout=90))
    assert own_groups(client) == [theirs.name]


def test_several_verifications_at_once_do_not_meet(client: KrakenClient) -> None:
    (agent,) = client.agents()

    def verify(_number: int) -> list[bool]:
        return [proof.proven for proof in verify_groups(client, ["gpu"], timeout=30)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(verify, range(4))) == [[True]] * 4
    assert client.agent(agent.id).groups == agent.groups
    assert own_groups(client) == []


def test_an_agent_that_works_for_somebody_else_all_the_time_has_not_failed(client: KrakenClient) -> None:
    dead = _another(client)
    branch = client.create_branch(client.create_project("theirs").id, "main")
    client.set_agent_groups(dead.id, [1, client.create_group("theirs").id])
    client.create_stage(branch.id, "s", stage_code(shell_job("theirs", "sleep 300", name="long", timeout=600)))
    client.start_flow(branch.id)
    while not client.agent(dead.id).job:
        requests.post(f"{client.url}/backend", json={"address": dead.address, "msg": "get-job"}, timeout=60)
    ((_, proof),) = verify_agents(client, [client.agent(dead.id)], ME, timeout=1)
    assert (proof.failure, proof.proven) == (None, False)
    assert proof.left_out.startswith("runs job ")
