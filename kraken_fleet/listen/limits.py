"""Every limit on what comes in from outside, with its default."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from kraken_fleet.errors import UsageError

_KIB, _MIB, _GIB = 2**10, 2**20, 2**30


def _limit(default: int, meaning: str) -> int:
    value: int = field(default=default, metadata={"meaning": meaning})
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much the embedded server takes from whom. Each has an option of `kraken-fleet serve`, named after it.

    An *unknown client* has no valid token, and its address is not that of an authorized agent.

    Raises:
        UsageError: a limit is less than 1.
    """

    connections: int = _limit(10_000, "Connections at a time; the last tenth is for agents that are authorized.")
    connections_per_peer: int = _limit(1_000, "Connections at a time from one address.")
    head_seconds: int = _limit(10, "Seconds in which the head of a request has to come.")
    request_seconds: int = _limit(60, "Seconds in which the whole request has to come.")
    answer_seconds: int = _limit(60, "Seconds without anybody reading, after which an answer is given up.")
    head_bytes: int = _limit(64 * _KIB, "Size of a request's head.")
    url_bytes: int = _limit(4 * _KIB, "Size of a request's path with its query.")
    body_bytes: int = _limit(128 * _MIB, "Size of a request's body, such as that of a tool that is uploaded.")
    unknown_client_body_bytes: int = _limit(_MIB, "Size of an unknown client's body.")
    unknown_client_bodies_bytes: int = _limit(128 * _MIB, "Size of all bodies being received from unknown clients.")
    message_bytes: int = _limit(16 * _MIB, "Size of a message of an authorized agent.")
    unknown_client_message_bytes: int = _limit(128 * _KIB, "Size of a message of any other agent.")
    json_depth: int = _limit(64, "How deep JSON may be nested.")
    json_values: int = _limit(500_000, "How many values a JSON body may have.")
    host_info_bytes: int = _limit(64 * _KIB, "Size of what an agent says of its host.")
    systems: int = _limit(1_000, "How many systems agents may add.")
    unknown_agents: int = _limit(5_000, "How many agents may wait to be authorized.")
    unknown_agents_per_peer: int = _limit(1_024, "How many of them may connect from one address.")
    wrong_passwords_per_account: int = _limit(5, "Wrong passwords a minute for one account from one address.")
    wrong_passwords_per_peer: int = _limit(30, "Wrong passwords a minute from one address.")
    page_items: int = _limit(1_000, "How many items of a list one answer has at most.")
    log_lines_per_record: int = _limit(500, "How many lines of a log record are kept as lines of their own.")
    log_bytes_per_job: int = _limit(64 * _MIB, "Size of a job's log.")
    log_bytes: int = _limit(2 * _GIB, "Size of all logs; beyond it the oldest lines go.")
    database_bytes: int = _limit(8 * _GIB, "Size of the database.")

    def __post_init__(self) -> None:
        for one in fields(self):
            if getattr(self, one.name) < 1:
                raise UsageError(f"The limit {one.name} is less than 1", hint="Give a larger number")
