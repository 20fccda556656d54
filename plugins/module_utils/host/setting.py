"""What a setting of an agent is, and how its value becomes the text of an environment variable."""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple, Tuple

BINARIES, SCRIPT, DOCKER, COMPOSE, WINDOWS = "binaries", "script", "docker", "compose", "windows"
METHODS = (BINARIES, SCRIPT, DOCKER, COMPOSE, WINDOWS)
# kraken-fleet's own agent, and the one that Kraken publishes (kkagent 1.7.36).
OURS, UPSTREAM = "ours", "upstream"
AGENTS = (OURS, UPSTREAM)
# Whom the update of Kraken's own agent gives its files to.
ACCOUNT = "kraken"


DATA_DIR = "KRAKEN_DATA_DIR"
DRAIN_SECONDS = "KRAKEN_AGENT_DRAIN_SECONDS"
NONCE_FILE = "KRAKEN_AGENT_NONCE_FILE"
UPDATE = "KRAKEN_AGENT_UPDATE"
ONE_JOB = "KRAKEN_AGENT_ONE_JOB"
# An agent reports what became of its job after the time for the job is over.
REPORT_SECONDS = 30


class Place(NamedTuple):
    """Where an agent is.

    Args:
        method: one of METHODS.
        agent: one of AGENTS.
        data: its data directory; empty to leave that to the agent.
        nonce: the file with its secret.
        ca_bundle: the file with the certificate authorities that it trusts.
    """

    method: str
    agent: str = OURS
    data: str = ""
    nonce: str = ""
    ca_bundle: str = ""


def as_plain(value: Any, _place: Place) -> str:
    return "" if value is None else str(value)


def as_server(value: Any, place: Place) -> str:
    """Write a URL for Kraken's own agent, which does not take `host:port` as ours does."""
    text = as_plain(value, place)
    return f"http://{text}" if text and place.agent == UPSTREAM and "://" not in text else text


def as_listed(value: Any, place: Place) -> str:
    # A colon is part of each path on Windows. Ours takes both.
    return (":" if place.agent == OURS and place.method != WINDOWS else ",").join(map(str, value or ()))


def as_data(_value: Any, place: Place) -> str:
    return place.data


def as_nonce(value: Any, place: Place) -> str:
    return place.nonce if value else ""


def as_ca_bundle(value: Any, place: Place) -> str:
    return place.ca_bundle if value else ""


def as_update(value: Any, _place: Place) -> str:
    return "server" if value == "server" else ""


def unless(usual: str) -> Callable[[Any, Place], str]:
    """Return what writes a value, but not the one that the agent has by itself."""
    return lambda value, _place: "" if value is None or str(value).strip() == usual else str(value).strip()


def as_yes(value: Any, _place: Place) -> str:
    # Variables of the command line are text.
    return "yes" if str(value).strip().lower() in ("true", "yes", "on", "1") else ""


def as_commas(value: Any, _place: Place) -> str:
    return ",".join(map(str, value or ()))


class Setting(NamedTuple):
    """One setting.

    Args:
        variable: the role's.
        methods: the ways of installing that honour it.
        name: the environment variable that it becomes (in kraken.env, and what stands for that elsewhere).
        more: what else it becomes, by method.
        option: the option of the modules; empty where their users set `name` in the option `environment`.
        renamed: the same in a module that calls it otherwise, by method.
        agents: whose agents know `name`.
        instead: what to do where the method cannot honour it; empty when nothing is lost.
        upstream: what to do where Kraken's own agent cannot; empty when nothing is lost.
        only: the one value that concerns an agent, when the others do not.
        text: makes the text of `name` of a value.
    """

    variable: str
    methods: Tuple[str, ...] = METHODS
    name: str = ""
    more: Mapping[str, str] = {}
    option: str = ""
    renamed: Mapping[str, str] = {}
    agents: Tuple[str, ...] = AGENTS
    instead: str = ""
    upstream: str = ""
    only: str = ""
    text: Callable[[Any, Place], str] = as_plain

    def is_set(self, value: Any, default: Any) -> bool:
        """Tell whether somebody has set it to something that an agent would notice."""
        if self.only:
            return bool(value == self.only)
        return value not in (None, "", [], {}) and _compared(value) != _compared(default)


def _compared(value: Any) -> str:
    """Return the same text for `true` and True, "300" and 300: variables of the command line are text."""
    return str(value).strip().lower()
