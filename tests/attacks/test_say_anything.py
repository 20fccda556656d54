"""Whatever comes in: no failure inside, nothing kept that cannot be read back, nothing without bound."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraken_fleet.listen import Limits, peer_of, plain_address
from kraken_fleet.server import intake
from kraken_fleet.server.agents.endpoint import AgentsEndpoint
from kraken_fleet.server.core import Core
from kraken_fleet.server.intake import Intake, RefusedError
from kraken_fleet.server.rest.render import agent_json
from kraken_fleet.server.routes.webhooks import _check_signature, _trigger
from kraken_fleet.server.settings import ServerSettings
from kraken_fleet.server.store.log_store import LogStore
from kraken_fleet.server.store.tables import Agent, LogLine

# More of everything than JSON has: halves of characters, NaN, numbers that no column holds.
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=40)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
WORDS = (
    "get-job",
    "get-job2",
    "get-job-step",
    "step-result",
    "step-result2",
    "dispatch-tests",
    "host-info",
    "keep-alive",
)
MESSAGES = st.fixed_dictionaries(
    {"msg": st.sampled_from(WORDS) | VALUES, "address": st.just("10.0.0.1") | st.just("10.0.0.2") | VALUES},
    optional={
        "info": st.fixed_dictionaries({"system": st.text(max_size=8) | VALUES}, optional={"x": VALUES}) | VALUES,
        "job_id": st.integers(0, 3) | VALUES,
        "step_idx": st.integers(-1, 2) | VALUES,
        "result": st.fixed_dictionaries({"status": st.just("done") | VALUES}, optional={"reason": VALUES}) | VALUES,
        "tests": VALUES,
    },
)
BOUNDED = settings(max_examples=150, deadline=None)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Any:
    core = Core.open(ServerSettings(tmp_path_factory.mktemp("anything")), lambda _password: None)
    with core.db.write() as session:
        session.add(Agent(name="a", address="10.0.0.1", ip_address="10.0.0.1", authorized=True))
    yield core
    core.close()


class _Failures(logging.Handler):
    """Collects what was logged as a failure of the server's own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record.getMessage())


@BOUNDED
@given(MESSAGES | VALUES)
def test_no_message_of_an_agent_breaks_the_endpoint_or_a_list(core: Core, message: Any) -> None:
    refused = 0
    failures, endpoint = _Failures(), AgentsEndpoint(lambda *_: None, core)  # type: ignore[arg-type]
    logging.getLogger("kraken_fleet").addHandler(failures)
    try:
        decoded = core.intake.decode(json.dumps(message).encode())
        answer = endpoint._answer(decoded, "10.0.0.1")
        assert answer is None or isinstance(json.loads(answer), dict)
    except RefusedError as error:
        refused = error.status
    finally:
        logging.getLogger("kraken_fleet").removeHandler(failures)
    assert refused in (0, 400, 403, 413, 429)
    assert failures.found == []
    with core.db.read() as session:
        for agent in session.query(Agent):
            json.dumps(agent_json(agent, core.roster), allow_nan=False).encode()


@BOUNDED
@given(VALUES)
def test_host_info_is_kept_as_it_was_said_or_not_at_all(core: Core, value: Any) -> None:
    said = {"address": "10.0.0.1", "msg": "host-info", "info": {"system": "x", "value": value}}
    endpoint = AgentsEndpoint(lambda *_: None, core)  # type: ignore[arg-type]
    try:
        decoded = core.intake.decode(json.dumps(said).encode())
    except RefusedError:
        return
    assert endpoint._answer(decoded, "10.0.0.1") is not None
    with core.db.read() as session:
        info = session.query(Agent).filter_by(address="10.0.0.1").one().host_info
    assert info == {"system": "x", "value": value}


@BOUNDED
@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_what_is_decoded_can_be_written_again(raw: bytes) -> None:
    try:
        value = Intake(Limits()).decode(raw)
    except RefusedError:
        return
    assert json.loads(json.dumps(value, allow_nan=False).encode()) == value


@BOUNDED
@given(st.integers(1, 2000), st.sampled_from(["[]", "{}"]))
def test_depth_is_bounded(depth: int, kind: str) -> None:
    opening = "[" if kind == "[]" else '{"a":'
    raw = (opening * depth + "1" + kind[1] * depth).encode()
    if depth <= Limits().json_depth:
        Intake(Limits()).decode(raw)
    else:
        with pytest.raises(RefusedError):
            Intake(Limits()).decode(raw)


RECORDS = st.fixed_dictionaries(
    {"message": st.text(max_size=60) | VALUES, "@timestamp": st.datetimes().map(str) | VALUES},
    optional=dict.fromkeys(("host", "path", "job", "step", "lineno", "level", "service", "tool", "agent"), VALUES),
)


@BOUNDED
@given(st.binary(max_size=100) | RECORDS.map(lambda record: json.dumps(record).encode()))
def test_no_datagram_breaks_the_log(core: Core, datagram: bytes) -> None:
    store: LogStore = core.logs
    store.take(datagram)
    store.write()
    for row in store.page(order="desc", start=0, limit=3):
        assert len(row.host) <= 255
        assert math.isfinite(row.time)
        json.dumps([row.message, row.host, row.path, row.job]).encode()


@BOUNDED
@given(st.text(max_size=300) | st.ip_addresses().map(str))
def test_an_agent_is_called_what_can_be_printed(claimed: str) -> None:
    try:
        address = intake.address(claimed, "10.0.0.1")
    except (RefusedError, TypeError):
        return
    assert address.isprintable()
    assert not address.startswith("-")
    assert " " not in address
    assert plain_address(address) == address


@BOUNDED
@given(st.text(max_size=60))
def test_a_peer_is_an_address_or_nobody(said: str) -> None:
    peer = peer_of({"client": (said, 1)})
    assert peer is None or plain_address(peer) == peer


@BOUNDED
@given(st.binary(max_size=60), st.text(max_size=60), st.booleans())
def test_only_the_right_signature_of_a_webhook_is_taken(raw: bytes, given_signature: str, better: bool) -> None:
    from starlette.datastructures import Headers

    from kraken_fleet.server.rest.problems import Problem

    name, kind = ("x-hub-signature-256", "sha256") if better else ("x-hub-signature", "sha1")
    right = f"{kind}={hmac.new(b's', raw, getattr(hashlib, kind)).hexdigest()}"
    _check_signature(raw, "s", Headers({name: right}))
    if given_signature.isascii() and given_signature != right:
        with pytest.raises(Problem):
            _check_signature(raw, "s", Headers({name: given_signature}))


@BOUNDED
@given(VALUES, st.sampled_from(["push", "pull_request"]))
def test_a_webhook_that_makes_no_sense_is_refused_in_one_way(said: Any, event: str) -> None:
    try:
        _trigger(event, said)
    except (KeyError, TypeError, AttributeError):
        return


def test_lines_have_no_column_without_a_bound() -> None:
    assert {column.name for column in LogLine.__table__.columns if str(column.type) == "VARCHAR"} == {
        "message",
        "service",
        "host",
        "path",
        "level",
        "tool",
    }
