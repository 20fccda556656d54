"""Where agents connected from, told to the next command."""

from __future__ import annotations

from pathlib import Path

from kraken_fleet.model import Agent
from kraken_fleet.reconcile import PeerMemory

SERVER = "http://kraken.example:6363"


def agent(peer: str, *, authorized: bool = True) -> Agent:
    return Agent(id=1, name="a", address="10.0.0.1", ip_address=peer, authorized=authorized)


def test_the_first_peer_is_remembered_until_somebody_accepts_another(tmp_path: Path) -> None:
    memory = PeerMemory(tmp_path)
    assert memory.compared(SERVER, [agent("10.0.0.1")]) == {"10.0.0.1": "10.0.0.1"}
    for _ in range(2):
        assert memory.compared(SERVER, [agent("192.0.2.9")]) == {"10.0.0.1": "10.0.0.1"}
    accepting = PeerMemory(tmp_path, accept=True)
    assert accepting.compared(SERVER, [agent("192.0.2.9")]) == {"10.0.0.1": "192.0.2.9"}
    assert memory.compared(SERVER, [agent("192.0.2.9")]) == {"10.0.0.1": "192.0.2.9"}


def test_an_agent_that_lost_its_authorization_is_remembered_anew(tmp_path: Path) -> None:
    memory = PeerMemory(tmp_path)
    memory.compared(SERVER, [agent("10.0.0.1")])
    assert memory.compared(SERVER, [agent("192.0.2.9", authorized=False)]) == {}
    assert memory.compared(SERVER, [agent("192.0.2.9")]) == {"10.0.0.1": "192.0.2.9"}


def test_another_server_has_a_memory_of_its_own(tmp_path: Path) -> None:
    memory = PeerMemory(tmp_path)
    memory.compared(SERVER, [agent("10.0.0.1")])
    assert memory.compared("http://other.example", [agent("192.0.2.9")]) == {"10.0.0.1": "192.0.2.9"}
