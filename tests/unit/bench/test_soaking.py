"""What the soak benchmark rests on: its faults can be had again, and what it looks for it finds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from bench.soak import Record
from bench.soaking import checks
from bench.soaking.faults import OF_SERVER, Fault, Kind, planned
from bench.soaking.ledger import Ledger
from bench.soaking.network import Cut, Network
from bench.soaking.server import Cost
from bench.soaking.simulated_agent import SimulatedAgent
from bench.soaking.world import World
from tests.waiting import until

SECONDS, CALM = 100.0, 60.0


def test_a_seed_gives_the_same_faults_again_and_leaves_the_server_alone_in_the_end() -> None:
    first, again, other = (list(planned(seed, SECONDS, 2.0, list(Kind), CALM)) for seed in (5, 5, 6))
    described = [[(one.at, one.kind, one.seconds) for one in ones] for ones in (first, again, other)]
    assert described[0] == described[1] != described[2]
    assert [one.choice.random() for one in first] == [one.choice.random() for one in again]
    assert {one.kind for one in first} == set(Kind)
    assert not [one for one in first if one.kind in OF_SERVER and one.at >= CALM]


def test_the_ledger_finds_steps_that_ran_twice_or_never_and_those_of_an_agent(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    lines = ["began /h/one/data/jobs/7 0", "ended /h/one/data/jobs/7 0", "began /h/two/data/jobs/8 0", "ended /h/tw"]
    ledger.path.write_text("\n".join([*lines, "ended /h/one/data/jobs/7 0", "began /h/one/data/jobs/9 1"]))
    assert ledger.going_on("one") == {(9, 1)}
    assert ledger.going_on("two") == {(8, 0)}
    ledger.read()
    assert ledger.twice() == [(7, 0)]
    assert ledger.never([(7, 0), (8, 0)]) == [(8, 0)]


@pytest.mark.parametrize(("cut", "answered", "heard"), [(None, True, 1), (Cut.REFUSED, False, 0), (Cut.LOST, False, 1)])
def test_a_cut_network_passes_nothing_or_loses_the_answer(cut: Cut | None, answered: bool, heard: int) -> None:
    peers: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        await reader.readline()
        writer.write(b"yes\n")
        writer.close()

    async def ask() -> bytes:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        network = Network(server.sockets[0].getsockname()[1])
        await network.start()
        if cut:
            network.cuts["127.0.0.77"] = cut
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", network.port, local_addr=("127.0.0.77", 0))
            writer.write(b"well?\n")
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            await network.stop()
            server.close()

    assert (asyncio.run(ask()) == b"yes\n") is answered
    assert peers == ["127.0.0.77"] * heard


def test_an_agent_that_two_faults_have_killed_works_once_when_both_are_over(tmp_path: Path) -> None:
    async def tasks_of_agent() -> int:
        agent = SimulatedAgent("127.0.0.1", 1, Ledger(tmp_path / "ledger"), 5.0)
        for _ in range(2):
            await agent.kill()
        for _ in range(2):
            agent.start()
        living = len(asyncio.all_tasks()) - 1
        await agent.kill()
        return living

    assert asyncio.run(tasks_of_agent()) == 1


class FullServer:
    """A server whose disk gets full while it starts, and has room again when that start has failed."""

    def __init__(self, data: Path) -> None:
        self.data, self.starts, self.is_up = data, 0, True

    def kill(self, _number: int) -> None:
        self.is_up = False

    def start(self) -> None:
        self.starts += 1
        if self.starts == 1:
            until(lambda: (self.data / "filling").exists())
            until(lambda: not (self.data / "filling").exists())
            raise RuntimeError("database or disk is full")
        self.is_up = True


def test_a_server_whose_disk_was_full_while_it_started_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "_mount", lambda _world, directory: directory.mkdir())
    monkeypatch.setattr("bench.soaking.world._fill", lambda file: file.touch())
    world = World(tmp_path, 0, 0, 1.0)
    server = FullServer(world.server.data)
    monkeypatch.setattr(world, "server", server)

    async def both() -> None:
        chance = Random(1)  # noqa: S311
        away, full = (Fault(0.0, kind, 0.2, chance) for kind in (Kind.SERVER_KILLED, Kind.SERVER_DISK))
        restarting = asyncio.create_task(world.suffer(away))
        await asyncio.to_thread(until, lambda: server.starts == 1)
        await world.suffer(full)
        await restarting

    asyncio.run(both())
    assert (server.starts, server.is_up) == (2, True)


def test_an_agent_has_grown_when_it_needs_more_than_when_it_was_warm() -> None:
    def costs(pid: int, *megabytes: float) -> list[Cost]:
        return [Cost(10.0 * number, pid, one, 9, 1) for number, one in enumerate(megabytes)]

    agents = {
        "just started": costs(1, 4, 16, 17),
        "grown": costs(2, 4, 16, 25),
        "started anew": [*costs(3, 4, 16, 30), *costs(4, 4, 30)],
    }
    assert list(checks._grown(Record(agents=agents))) == ["grown: the memory of grown, from 16 to 25 MB"]
