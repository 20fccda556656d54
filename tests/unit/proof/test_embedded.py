"""Verification on the embedded server, with an agent that speaks the real protocol and sends its log by UDP."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.errors import VerificationError
from kraken_fleet.model import Agent
from kraken_fleet.proof.agents import SLOTS, verify_agents
from kraken_fleet.proof.groups import require_proofs, verify_groups
from kraken_fleet.server.testing import RunningServer, running

ADDRESS = "127.0.0.77"


class ToyAgent(threading.Thread):
    """Does the `echo` jobs of verifications."""

    def __init__(self, server: RunningServer) -> None:
        super().__init__(daemon=True)
        host, _, port = server.log_addr.rpartition(":")
        self._backend, self._log_address = f"{server.url}/backend", (host, int(port))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.stopping = threading.Event()

    def say(self, msg: str, **fields: object) -> Any:
        return requests.post(self._backend, json={"address": ADDRESS, "msg": msg, **fields}, timeout=5).json()

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
def client(tmp_path: Path) -> Iterator[KrakenClient]:
    """A server with one authorized agent in the group `gpu`, and the empty group `empty`."""
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
        proofs = require_proofs(verify_groups(client, ["gpu", "all"], timeout=20))
        assert {proof.group: proof.agent for proof in proofs} == {"gpu": ADDRESS, "all": ADDRESS}
        assert len({proof.log_line for proof in proofs}) == 1
    assert len(client.projects()[-1].branches) == 1
    assert [project.name for project in client.projects()].count("kraken-fleet") == 1


def test_a_group_without_agents_fails_at_once_and_alone(client: KrakenClient) -> None:
    proofs = {proof.group: proof for proof in verify_groups(client, ["empty", "gpu"], timeout=20)}
    assert proofs["gpu"].proven
    assert proofs["empty"].failure == "there are no agents in group 'empty' - add some agents"


def test_groups_are_deleted_and_made_again_and_still_run_jobs(client: KrakenClient) -> None:
    (agent,) = client.agents()
    old = next(group for group in client.groups() if group.name == "gpu")
    client.delete_group(old.id, force=True)
    client.set_agent_groups(agent.id, [1, client.create_group("gpu").id])
    assert [proof.proven for proof in verify_groups(client, ["gpu"], timeout=20)] == [True]
    assert client.group(old.id).name == f"gpu-deleted-{old.id}"


def test_a_disabled_agent_is_proven_alone_and_then_is_as_it_was(client: KrakenClient) -> None:
    (agent,) = client.agents()
    before = client.set_agent_disabled(agent.id, True)
    ((proven, proof),) = verify_agents(client, [before], timeout=20)
    assert (proven.id, proof.proven, proof.group) == (agent.id, True, "kraken-fleet-verify-1")
    after = client.agent(agent.id)
    assert (after.disabled, after.groups) == (True, before.groups)


def test_an_agent_without_proof_is_as_it_was_too(client: KrakenClient) -> None:
    dead = _another(client)
    ((_, proof),) = verify_agents(client, [dead], timeout=1)
    assert proof.failure == "no agent has taken the job in 1 s"
    after = client.agent(dead.id)
    assert (after.enabled, after.group_names) == (dead.enabled, {"all"})


def _another(client: KrakenClient) -> Agent:
    """An authorized agent that has spoken once and does nothing."""
    requests.post(f"{client.url}/backend", json={"address": "127.0.0.78", "msg": "get-job"}, timeout=5)
    (agent,) = client.agents(unauthorized=True)
    client.set_authorized([agent.id])
    return client.agent(agent.id)


def test_a_verification_that_was_killed_leaves_a_group_that_the_next_one_empties(client: KrakenClient) -> None:
    (agent,) = client.agents()
    slot = client.create_group("kraken-fleet-verify-1")
    left = client.set_agent_groups(agent.id, [slot.id])
    assert [proof.proven for _, proof in verify_agents(client, [left], timeout=20)] == [True]
    assert client.agent(agent.id).group_names == {"all"}


def test_groups_with_the_agents_of_another_controller_are_passed_over(client: KrakenClient) -> None:
    (agent,) = client.agents()
    other = _another(client)
    numbers = [client.create_group(f"kraken-fleet-verify-{number}").id for number in range(1, 4 * SLOTS + 1)]
    client.set_agent_groups(other.id, numbers[:2])
    assert [proof.group for _, proof in verify_agents(client, [agent], timeout=20)] == ["kraken-fleet-verify-3"]
    client.set_agent_groups(other.id, numbers)
    with pytest.raises(VerificationError, match="other agents are in the groups"):
        list(verify_agents(client, [agent], timeout=20))
    assert client.agent(agent.id).group_names == {"all", "gpu"}
