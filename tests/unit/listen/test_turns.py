"""The work of unknown clients takes turns, and leaves as much time as it takes."""

from __future__ import annotations

import asyncio

import pytest

from kraken_fleet.listen import Turns


def test_a_long_turn_is_followed_by_a_pause_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter((0.0, 0.02, 1.0, 1.001))
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)

    async def work() -> None:
        turns = Turns(lambda: next(moments))
        for _ in range(2):
            async with turns.turn():
                pass

    asyncio.run(work())
    assert pauses == [0.02, 0.0]


def test_turns_come_one_at_a_time_in_the_order_of_asking() -> None:
    seen: list[str] = []

    async def work() -> None:
        turns = Turns()

        async def one(name: str) -> None:
            async with turns.turn():
                seen.append(f"{name} begins")
                await asyncio.sleep(0)
                seen.append(f"{name} ends")

        await asyncio.gather(one("first"), one("second"))

    asyncio.run(work())
    assert seen == ["first begins", "first ends", "second begins", "second ends"]


def test_a_turn_that_fails_lets_the_next_one_begin() -> None:
    async def work() -> str:
        turns = Turns()
        with pytest.raises(ValueError, match="wrong"):
            async with turns.turn():
                raise ValueError("wrong")
        async with turns.turn():
            return "begun"

    assert asyncio.run(work()) == "begun"
