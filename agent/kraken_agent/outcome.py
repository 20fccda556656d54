"""How a step ended, in the words that the server understands."""

from __future__ import annotations

from kraken_agent import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    Message = Dict[str, Any]

# Why a child was stopped before its time; the first two are also the server's words.
STEP_TIMEOUT = "step-timeout"
JOB_TIMEOUT = "job-timeout"
STOPPING = "stopping"

OUT_OF_MEMORY = "memory ran out, and the kernel ended a process of the step"

_TEXTS = {
    STEP_TIMEOUT: "the step's time is over",
    JOB_TIMEOUT: "the job's time is over",
    STOPPING: "the agent was stopped before the step had ended",
}


def done() -> Message:
    """Return a success."""
    return {"status": protocol.DONE}


def error(reason: str, message: str, **more: object) -> Message:
    """Return a failure, for a reason that the server knows: `retcode`, `exception`, `no-tests`, a time-out."""
    return {"status": protocol.ERROR, "reason": reason, **more, "msg": message}


def stopped(reason: str, message: str = "") -> Message:
    """Return the result of a step that was ended before its time."""
    return error("exception" if reason == STOPPING else reason, message or _TEXTS[reason])


def of_exit_code(code: int) -> Message:
    """Return how a command ended, in upstream's words."""
    return error("retcode", f"cmd exited with non-zero retcode: {code}", retcode=code) if code else done()


def whole_seconds(seconds: float) -> int:
    """Return a duration as upstream's agent reports it: rounded up by a half, and at least 1."""
    return max(1, round(seconds + 0.5))
