"""What runs in a forked child: the executor's part, with its failures turned into messages."""

from __future__ import annotations

import sys

from kraken_agent import outcome
from kraken_agent.executors.base import ExecutorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from kraken_agent.executors.base import Executor, Send, ShellCommand, ToolCall

# A message with this key is the agent's own, not a tool's.
FAILURE = "failure"
STATE = "state"


def shell(executor: Executor, command: ShellCommand) -> Callable[[Send], int]:
    """Return a child that runs a shell step."""
    return lambda send: _reporting(send, lambda: executor.shell(command))


def tool(executor: Executor, call: ToolCall) -> Callable[[Send], int]:
    """Return a child that runs a tool's command."""

    def main(send: Send) -> int:
        executor.tool(call, send)
        return 0

    return lambda send: _reporting(send, lambda: main(send))


def prepare(executor: Executor) -> Callable[[Send], int]:
    """Return a child that gets the executor ready."""

    def main(send: Send) -> int:
        state = executor.prepare() or {}
        try:
            send({STATE: state})
        except BrokenPipeError:
            # The agent was killed meanwhile, and perhaps its successor has looked for leftovers already.
            executor.abandon(state)
        return 0

    return lambda send: _reporting(send, lambda: main(send))


def cleanup(executor: Executor) -> Callable[[Send], int]:
    """Return a child that removes what the executor made."""

    def main() -> int:
        executor.cleanup()
        return 0

    return lambda send: _reporting(send, main)


def _reporting(send: Send, run: Callable[[], int]) -> int:
    """Run; what cannot be run is a message, and a line of the log."""
    try:
        return run()
    except ExecutorError as error:
        sys.stdout.write(f"{error}\n")
        send({FAILURE: outcome.error(error.reason, str(error))})
        return 1
