"""The page of one agent, and of the job that it runs."""

from __future__ import annotations

import re

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.server.testing import RunningServer
from tests.stages import shell_job, stage_code
from tests.unit.web.person import Person
from tests.waiting import eventually


def _say(server: RunningServer, message: str, **info: object) -> None:
    body = {"address": "10.0.0.21", "msg": message, "info": {"system": "debian-12", **info}}
    requests.post(f"{server.url}/backend", json=body, timeout=60)


@pytest.fixture
def agent_id(server: RunningServer) -> int:
    """The agent of the inventory's host build-1."""
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        both = (*client.agents(), *client.agents(unauthorized=True))
        (number,) = (agent.id for agent in both if agent.address == "10.0.0.21")
        client.set_authorized([number])
    return number


@pytest.mark.parametrize(
    ("ahead", "says"),
    [(95, "95 s ahead of the server's"), (-31, "31 s behind the server's"), (0, "as the server's"), ("now", None)],
)
def test_what_an_agent_says_of_its_clock_is_shown_in_words(
    ahead: object, says: str | None, person: Person, server: RunningServer, agent_id: int
) -> None:
    _say(server, "host-info", kraken_fleet_clock_ahead=ahead, kraken_fleet_no_jobs="the disk is <full>", rack="b4")
    page = person.get(f"/agents/{agent_id}")
    shown = re.search("<dt>Clock</dt><dd>(.*?)</dd>", page)
    assert (shown[1].replace("&#39;", "'") if shown else None) == says
    assert "<dt>Takes no jobs</dt><dd>the disk is &lt;full&gt;</dd>" in page
    assert "<dt>rack</dt><dd>b4</dd>" in page
    assert "kraken_fleet_" not in page


def test_a_job_is_of_a_host_of_the_inventory(person: Person, server: RunningServer, agent_id: int) -> None:
    _say(server, "host-info")
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        client.set_agent_groups(agent_id, [1, client.create_group("named").id])
        branch = client.create_branch(client.create_project("named").id, "main")
        client.create_stage(branch.id, "s", stage_code(shell_job("named", "true")))
        client.start_flow(branch.id)

        def taken() -> int:
            _say(server, "get-job")
            job = client.agent(agent_id).job
            return job.id if job else 0

        job = eventually(taken)
        page = person.get(f"/jobs/{job}")
        client.cancel_job(job)
    assert f'<a href="/agents/{agent_id}">build-1 (10.0.0.21)</a>' in page
