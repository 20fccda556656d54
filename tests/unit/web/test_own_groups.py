"""Groups that kraken-fleet makes for a while: nobody is shown them, or offered them to choose from."""

from __future__ import annotations

import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.model import Owner, OwnGroup
from kraken_fleet.server.testing import RunningServer
from tests.unit.web.person import Person
from tests.waiting import eventually


def test_groups_of_proofs_and_upgrades_are_no_boxes_to_tick(person: Person, server: RunningServer) -> None:
    owner = Owner("0a", 17, 4)
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        waiting = {agent.address: agent.id for agent in client.agents(unauthorized=True)}
        number = waiting["10.0.0.23"]
        client.set_authorized([number])
        own = [client.create_group(OwnGroup(kind, owner, 1).name).id for kind in ("proof", "upgrade")]
        client.set_agent_groups(number, [1, *own])
        speak = {"address": "10.0.0.24", "msg": "get-job"}
        requests.post(f"{server.url}/backend", json=speak, timeout=60)
        eventually(lambda: "10.0.0.24" in person.get("/discovered"))
        pages = "".join(person.get(path) for path in ("/agents", "/groups", "/discovered", f"/agents/{number}"))
        for group in own:
            client.delete_group(group, force=True)
    assert "10.0.0.23" in pages
    assert "kraken-fleet-proof" not in pages
    assert "kraken-fleet-upgrade" not in pages
