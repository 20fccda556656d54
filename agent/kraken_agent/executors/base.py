"""What every executor is: the place where the steps of one job run.

The agent itself never waits for an executor and never imports its libraries: each method that may block is called
in a child that the agent forks for it. In the child

- descriptors 1 and 2 are the log: what is written there becomes lines of the job's log, secrets masked by the agent;
- SIGTERM means stop now, and five seconds later SIGKILL comes; a child leads its own session and process group;
- what a method raises is the result of the step (or of the job, from `prepare`).

State that a later call needs must be found again by name, or be returned from `prepare`.
"""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional

    Message = Dict[str, Any]
    Send = Callable[[Message], None]

# Names the job's directory to its processes; on the host it also marks them as a job's.
JOB_VARIABLE = "KRAKEN_JOB_DIR"


class ExecutorError(Exception):
    """The executor cannot run this job; the text is what its user reads.

    Attributes:
        reason: `exception` or `job-timeout`, as upstream's agent reports them.
    """

    def __init__(self, message: str, reason: str = "exception") -> None:
        super().__init__(message)
        self.reason = reason


class JobPlace(NamedTuple):
    """The job that an executor serves.

    Attributes:
        job: what the server answered to get-job; `system` names the image of a containered job.
        directory: the job's own directory on this host, mode 0700.
        data_dir: the agent's data directory.
        address: who the agent is to the server.
        installation: tells what this agent leaves behind from what others do, see `state_files.installation_id`.
        seconds: time left for the job when it was taken.
    """

    job: Mapping[str, Any]
    directory: str
    data_dir: str
    address: str
    seconds: float
    installation: str = ""

    @property
    def id(self) -> int:
        """The job's number."""
        return int(self.job["id"])


class ShellCommand(NamedTuple):
    """One attempt of a shell step.

    Attributes:
        argv: the shell, its switches, the command; when `script` is set, the path of a file with it is to be added.
        script: text that goes into a file which only the executing user can read, or None.
        env: variables on top of the environment of the place, secrets among them: never put them into argv.
        cwd: directory, relative to the job's own, or absolute.
        user: whom to run as; empty for the executor's default.
        ssh_key: a private key that programs of the step may use through an ssh-agent; empty for none.
    """

    argv: List[str]
    script: Optional[str]
    env: Mapping[str, str]
    cwd: str
    user: str
    ssh_key: str = ""


class ToolCall(NamedTuple):
    """One command of one tool, to be run in a Python with `kraken_agent.tools.runner.execute`.

    Attributes:
        command: `get_commands`, `collect_tests`, `run`, `run_tests`, ...: see `kraken_agent.tools.runner`.
        step: the step as the server gave it, with `tests` once they are dispatched.
        tools_dirs: where users' own tools are looked for, see `kraken_agent.tools.locate`.
        env: variables on top of the environment of the place.
    """

    command: str
    step: Mapping[str, Any]
    tools_dirs: List[str]
    env: Mapping[str, str]


class Executor:
    """One instance serves one job. Derive, and override what differs; `executors.registry` names the classes."""

    name = ""
    # Whether prepare and cleanup do anything; without, no child is forked for them.
    has_setup = False

    def __init__(self, place: JobPlace) -> None:
        self.place = place
        self.state: Dict[str, Any] = {}

    @classmethod
    def detect(cls) -> str:
        """In a child: return the engine's version, which goes into host-info.

        Raises:
            Exception: jobs cannot run here; its text is the reason.
        """
        return ""

    @classmethod
    def sweep(cls, installation: str) -> None:
        """In a child, at the agent's start: remove what a killed agent of this installation left behind."""

    def prepare(self) -> Optional[Dict[str, Any]]:
        """In a child, before the first step: get the image, start the container.

        Returns:
            what becomes `self.state` in the agent and so in every later child; JSON can hold it.

        Raises:
            ExecutorError: the job cannot run here.
        """
        return None

    def abandon(self, state: Mapping[str, Any]) -> None:
        """In a child: remove what `prepare` has just made, and nothing that another agent has made for the same job."""

    def shell(self, command: ShellCommand) -> int:
        """In a child: run a shell step to its end, or replace the child by it.

        Returns:
            the exit code; -N when signal N ended it.
        """
        raise ExecutorError(f"executor {self.name} runs no shell steps")

    def tool(self, call: ToolCall, send: Send) -> None:
        """In a child: run a tool's command; every message of the tool goes to `send`, at once and in order."""
        raise ExecutorError(f"executor {self.name} runs no tools")

    def cleanup(self) -> None:
        """In a child, in every case after the last step, also when `prepare` failed half-way."""
