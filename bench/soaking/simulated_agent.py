"""An agent that runs no commands: it speaks as a real one does, from an address of its own, and waits in each step."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from bench.soaking.ledger import Ledger
from tests.host_info import DEBIAN

Message = dict[str, Any]
_ANSWER_SECONDS = 15.0
# Pauses double, as with a real agent.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.7, 10.0


class UnansweredError(Exception):
    """The server could not be reached, or did not answer as it does when it is well."""


class SimulatedAgent:
    """One agent.

    Args:
        address: a loopback address, which it connects from.
        port: where the server is reached.
        poll: seconds between two questions for a job.

    Attributes:
        trouble: how many messages were not answered.
        reports: those that the server does not have yet; as with a real agent they survive its end.
    """

    def __init__(self, address: str, port: int, ledger: Ledger, poll: float) -> None:
        self.address = address
        self._port = port
        self._ledger = ledger
        self._poll = poll
        self.reports: list[Message] = []
        self.trouble = 0
        self.jobs = 0
        self._life: asyncio.Task[None] | None = None
        self._step: tuple[int, int] | None = None

    def start(self) -> None:
        """Begin to ask for jobs, unless it does: two faults can kill an agent, and each starts it again."""
        if self._life is None or self._life.done():
            self._life = asyncio.create_task(self._live())

    async def kill(self) -> None:
        """End in the middle of whatever it does."""
        if self._life:
            if self._step:
                self._ledger.killed.add(self._step)
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
            self._step = None

    async def announce(self) -> None:
        """Say who and what it is."""
        await self._insist({"msg": "host-info", "info": DEBIAN})

    async def _live(self) -> None:
        await asyncio.sleep(random.uniform(0, self._poll))  # noqa: S311 - it spreads load
        await self.announce()
        while True:
            await self._deliver()
            answer = await self._insist({"msg": "get-job"})
            if answer.get("job"):
                await self._work(answer["job"]["id"])
                self.jobs += 1
            else:
                await asyncio.sleep(self._poll * random.uniform(0.9, 1.1))  # noqa: S311

    async def _work(self, job: int) -> None:
        while True:
            answer = await self._insist({"msg": "get-job-step"})
            step = answer.get("job_step") or {}
            if not step or step.get("finish") or "tool" not in step or step["job_id"] != job:
                return
            number = int(step["index"])
            self._step = (job, number)
            self._ledger.began[self._step] += 1
            await asyncio.sleep(random.uniform(0.1, 2.0))  # noqa: S311
            self._ledger.ended[self._step] += 1
            self._step = None
            result = {"status": "done", "duration": 1}
            self.reports.append({"msg": "step-result2", "job_id": job, "step_idx": number, "result": result})
            await self._deliver()

    async def _deliver(self) -> None:
        while self.reports:
            await self._insist(self.reports[0])
            self.reports.pop(0)

    async def _insist(self, message: Message) -> Message:
        pause = _FIRST_PAUSE
        while True:
            try:
                return await asyncio.wait_for(self._say(message), _ANSWER_SECONDS)
            except (OSError, UnansweredError, TimeoutError):
                self.trouble += 1
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _say(self, message: Message) -> Message:
        body = json.dumps({"address": self.address, **message}).encode()
        head = "POST /backend HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self.address, 0))
        try:
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = await reader.read(-1)
        finally:
            writer.close()
        status, _, rest = answer.partition(b"\r\n")
        if status.split()[1:2] != [b"200"]:
            raise UnansweredError(str(status))
        try:
            said = json.loads(rest.partition(b"\r\n\r\n")[2])
        except ValueError as error:
            raise UnansweredError("half an answer") from error
        return said if isinstance(said, dict) else {}
