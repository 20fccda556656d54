"""What all steps of a job share, and how their children are started."""

from __future__ import annotations

from typing import NamedTuple

from kraken_agent import step_files
from kraken_agent.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List, Mapping

    from kraken_agent.executors.base import Executor, Send
    from kraken_agent.logs import Log
    from kraken_agent.reactor import Reactor
    from kraken_agent.session import Session
    from kraken_agent.tools.masking import Masker


class JobContext(NamedTuple):
    """Holds what all steps of a job share.

    Attributes:
        masker: makes what hides the secrets of the job and of a step in one stream.
        should_stop: true when the agent is to end the job now.
        deadline: when the job's time is over, on the monotonic clock.
        processes: every child of the job; their daemons may write until the job is over.
    """

    reactor: Reactor
    session: Session
    log: Log
    executor: Executor
    masker: Callable[[Mapping[str, Any]], Masker]
    should_stop: Callable[[], bool]
    deadline: float
    tools_dirs: List[str]
    processes: List[Process]

    @property
    def job_id(self) -> int:
        """The job's number at the server."""
        return self.executor.place.id

    def start(self, main: Callable[[Send], int], secrets: Mapping[str, Any], **context: Any) -> Process:
        """Start a child whose output goes to the log, secrets hidden.

        Args:
            main: what it does.
            secrets: the step, whose secrets are hidden besides the job's.
            context: of its log lines: `step`, `tool`.
        """
        stream = self.log.stream(context)
        masker = self.masker(secrets)

        def on_end() -> None:
            stream.write(masker.close())
            stream.close()
            if process.has_ended:
                step_files.remove(self.executor.place.data_dir, process.pid)

        process = Process(
            self.reactor,
            main,
            on_output=lambda data: stream.write(masker.feed(data)),
            on_end=on_end,
            is_full=lambda: stream.is_full,
        )
        self.processes.append(process)
        return process
