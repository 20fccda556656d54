"""What agents and servers say to each other: builds requests, reads answers. Pure: no clock, no network, no disk.

The facts are those of krakenci-server 1.7.36: each message is a POST of JSON to `backend`, joined to the server's URL.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional

    Message = Dict[str, Any]

DONE = "done"
ERROR = "error"
IN_PROGRESS = "in-progress"

# Longer times than a month are somebody's mistake, or an attempt to break a clock.
LONGEST_SECONDS = 31 * 24 * 3600.0

# A step's status as the server keeps it, from which on it is over: done, error, skipped.
_OVER = (2, 3, 4)
# What the server changes in a result that it keeps: it writes the duration as text.
_REWRITTEN = "duration"


class ServerUrl:
    """A server's URL in parts.

    Attributes:
        scheme: `http` or `https`.
        host, port: whom to connect to.
        base: the path up to and with its last slash; names are joined to it.
    """

    __slots__ = ("base", "host", "port", "scheme")

    def __init__(self, scheme: str, host: str, port: int, base: str) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.base = base

    def path(self, name: str) -> str:
        """Return the path of `backend` or `install/agent` at this server."""
        return self.base + name

    @property
    def authority(self) -> str:
        """Host and port as the header `Host` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.base}"


def parse_server(text: str) -> ServerUrl:
    """Read a server's address: `host`, `host:port`, or a URL with or without a path.

    Names are joined as in RFC 3986, and so as upstream's agent does: with `http://h/bk` it is `/backend`, and with
    `http://h/bk/` it is `/bk/backend`.

    Raises:
        ValueError: not an address of a server.
    """
    scheme, found, rest = text.strip().partition("://")
    if not found:
        scheme, rest = "http", text.strip()
    scheme = scheme.lower()
    if scheme not in ("http", "https"):
        raise ValueError(f"server {text!r}: the URL begins with neither http:// nor https://")
    rest = rest.split("#")[0].split("?")[0]
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise ValueError("server: a URL with a user or a password in it is not used, since it would be seen in logs")
    host, port = _host_and_port(authority, 443 if scheme == "https" else 80, text)
    return ServerUrl(scheme, host, port, (slash + path).rpartition("/")[0] + "/")


def _host_and_port(authority: str, default: int, text: str) -> tuple[str, int]:
    if authority.startswith("["):
        host, _, port = authority[1:].partition("]")
        port = port.lstrip(":")
    else:
        host, _, port = authority.partition(":")
    if not host or not (port.isdigit() or not port) or int(port or default) > 65535:
        raise ValueError(f"server {text!r} is not HOST:PORT or a URL")
    return host, int(port or default)


def host_info(address: Optional[str], info: Mapping[str, Any]) -> Message:
    """Return the message that says who and what the agent is."""
    return {"address": address, "msg": "host-info", "info": info}


def get_job(address: Optional[str]) -> Message:
    """Return the message that asks for a job."""
    return {"address": address, "msg": "get-job"}


def get_job_step(address: Optional[str]) -> Message:
    """Return the message that asks for the next step. When there is none, the server ends the job with its answer."""
    return {"address": address, "msg": "get-job-step"}


def step_result(address: Optional[str], job: int, step: int, result: Mapping[str, Any]) -> Message:
    """Return the message that says how a step goes, or went."""
    return {"address": address, "msg": "step-result2", "job_id": job, "step_idx": step, "result": result}


def dispatch_tests(address: Optional[str], job: int, step: int, tests: List[str]) -> Message:
    """Return the message that asks which of these tests are to run here."""
    return {"address": address, "msg": "dispatch-tests", "job_id": job, "step_idx": step, "tests": tests}


def keep_alive(address: Optional[str], job: int) -> Message:
    """Return the message that says that the job still runs."""
    return {"address": address, "msg": "keep-alive", "job_id": job}


def answer_to_report(job_answer: Answer, report: Mapping[str, Any]) -> Optional[Answer]:
    """Return what was answered to a report that the server has, or does not want any more; None when it is missing.

    Args:
        job_answer: to a get-job that was asked afterwards.
        report: a step_result.
    """
    steps = job_answer.steps_of(report.get("job_id"))
    if steps is None:
        return None
    step = next((step for step in steps if step.get("index") == report.get("step_idx")), None)
    if step is None:
        return Answer({})
    result = report.get("result") or {}
    if result.get("status") != IN_PROGRESS or step.get("status") in _OVER:
        has_arrived = step.get("status") in _OVER
    else:
        has_arrived = _without(step.get("result"), _REWRITTEN) == _without(result, "status", _REWRITTEN)
    return Answer({}) if has_arrived else None


def answer_to_dispatch(job_answer: Answer, question: Mapping[str, Any]) -> Optional[Answer]:
    """Return which tests the server gave to this agent, if it has received the request; else None.

    It names the tests of all steps together, so an earlier step with tests of the same names looks like this one's.

    Args:
        job_answer: to a get-job that was asked afterwards.
        question: a dispatch_tests.
    """
    lists = [step.get("tests") for step in job_answer.steps_of(question["job_id"]) or ()]
    named = {str(test) for tests in lists if isinstance(tests, list) for test in tests}
    mine = [test for test in question["tests"] if test in named]
    return Answer({"tests": mine}) if mine else None


def _without(result: object, *names: str) -> object:
    return {name: result[name] for name in result if name not in names} if isinstance(result, dict) else result


def seconds_of(value: object, default: float, most: float = LONGEST_SECONDS) -> float:
    """Return a duration that somebody else has set: from 0 to `most`, and the default for what is no number."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return default
    return float(max(0, min(value, most)))


class Answer:
    """What a server answered; whatever is missing or of the wrong type is simply not there."""

    __slots__ = ("data",)

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data

    @property
    def unauthorized(self) -> bool:
        """Return whether the server gives the agent nothing, because it has not authorized it."""
        return bool(self.data.get("unauthorized"))

    @property
    def cancel(self) -> bool:
        """Return whether the job is over for the server."""
        return bool(self.data.get("cancel"))

    @property
    def job(self) -> Message:
        """Return the job, or nothing."""
        return self._dictionary("job")

    def steps_of(self, job: Optional[int]) -> Optional[List[Message]]:
        """Return the steps of a job, as far as the server knows them; none when the agent's job is not this one.

        Returns:
            None when the answer does not say, as that to get-job2.
        """
        if "job" not in self.data:
            return None
        if self.job.get("id") != job:
            return []
        steps = self.job.get("steps")
        return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else None

    @property
    def step(self) -> Message:
        """Return the step, or nothing when there is none left."""
        step = self._dictionary("job_step")
        return {} if step.get("finish") or "tool" not in step else step

    @property
    def is_step_answer(self) -> bool:
        """Return whether this is an answer to get-job-step at all."""
        return bool(self._dictionary("job_step"))

    @property
    def tests(self) -> Optional[List[str]]:
        """Return the tests to run here; None when the server refused the list."""
        tests = self.data.get("tests")
        return [str(test) for test in tests] if isinstance(tests, list) else None

    @property
    def gives_no_jobs(self) -> bool:
        """Return whether the server gives no job to an agent that says it takes none; Kraken's own does not say."""
        return self.data.get("kraken_fleet_no_jobs") is True

    @property
    def version(self) -> str:
        """Return the server's version, if it says."""
        version = self.data.get("version")
        return version if isinstance(version, str) else ""

    @property
    def agent_id(self) -> Optional[int]:
        """Return the number by which the server's users know this agent."""
        number = self.data.get("agent_id")
        return number if isinstance(number, int) else None

    @property
    def log_address(self) -> str:
        """Return where logs go, as the server's settings say."""
        address = self._dictionary("cfg").get("clickhouse_addr")
        return address if isinstance(address, str) else ""

    def _dictionary(self, key: str) -> Message:
        value = self.data.get(key)
        return value if isinstance(value, dict) else {}
