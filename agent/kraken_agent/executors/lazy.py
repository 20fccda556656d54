"""An executor whose module is loaded only in the children that need it.

The modules of containers cost 6 MB, which an agent would keep for all its life after its first job in one.
"""

from __future__ import annotations

from kraken_agent.executors.base import Executor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Mapping, Optional, Type

    from kraken_agent.executors.base import JobPlace, Send, ShellCommand, ToolCall


class LazyExecutor(Executor):
    """Loads an executor in each method and calls the same method of it.

    Args:
        name: of the executor.
        place: the job.
        load: imports the executor's module; returns its class.
    """

    has_setup = True

    def __init__(self, name: str, place: JobPlace, load: Callable[[], Type[Executor]]) -> None:
        super().__init__(place)
        self.name = name
        self._load = load

    def prepare(self) -> Optional[Dict[str, Any]]:
        """See the executor."""
        return self._real().prepare()

    def abandon(self, state: Mapping[str, Any]) -> None:
        """See the executor."""
        self._real().abandon(state)

    def shell(self, command: ShellCommand) -> int:
        """See the executor."""
        return self._real().shell(command)

    def tool(self, call: ToolCall, send: Send) -> None:
        """See the executor."""
        self._real().tool(call, send)

    def cleanup(self) -> None:
        """See the executor."""
        self._real().cleanup()

    def _real(self) -> Executor:
        executor = self._load()(self.place)
        executor.state = self.state
        return executor
