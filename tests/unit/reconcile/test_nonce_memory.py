"""Secrets that were made for hosts are kept by their digests, for one server, and forgotten when they have counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from kraken_fleet.model import DesiredAgent, DesiredFleet, ObservedFleet
from kraken_fleet.plan import AttestedTrust, MadeNonce, PlanPolicy, make_plan, trust_of
from kraken_fleet.reconcile import NonceMemory, TrialFailed, TrialPassed
from tests.unit.web.model_builders import an_agent

URL = "http://k:6363"
UNTIL = datetime.now(UTC) + timedelta(hours=1)
NONCE = MadeNonce("build-1", "10.0.0.1", "a" * 64, UNTIL)


def test_what_is_kept_is_read_again_by_that_server_alone_and_by_this_account(tmp_path: Path) -> None:
    NonceMemory(tmp_path, URL).add(NONCE)
    assert NonceMemory(tmp_path, URL).nonces() == [NONCE]
    assert NonceMemory(tmp_path, "http://other:6363").nonces() == []
    (file,) = (tmp_path / "nonces").iterdir()
    assert file.stat().st_mode & 0o077 == 0


def test_new_user_data_takes_the_place_of_the_old(tmp_path: Path) -> None:
    memory = NonceMemory(tmp_path, URL)
    memory.add(NONCE)
    newer = MadeNonce("build-1", "10.0.0.1", "b" * 64, UNTIL)
    memory.add(newer)
    assert memory.nonces() == [newer]


def test_a_secret_counts_once(tmp_path: Path) -> None:
    memory = NonceMemory(tmp_path, URL)
    memory.add(NONCE)
    desired = DesiredFleet((DesiredAgent("build-1", "10.0.0.1"),))
    policy = memory.policy(PlanPolicy(), desired)
    assert policy.trust
    assert isinstance(policy.trust[0], AttestedTrust)
    agents = (an_agent(1, address="10.0.0.1", authorized=False),)
    plan = make_plan(desired, ObservedFleet(agents), policy, now=datetime.now(UTC))
    said = {"subject": "build-1 (10.0.0.1)", "policy": "attested", "reason": ""}
    assert [*memory.forgetting(plan, [TrialFailed(**said)])]
    assert memory.nonces() == [NONCE]
    assert [*memory.forgetting(plan, [TrialPassed(**said)])]
    assert memory.nonces() == []
    assert memory.policy(PlanPolicy(), desired) == PlanPolicy(trust=trust_of(desired))


def test_a_file_that_is_spoilt_keeps_nothing(tmp_path: Path) -> None:
    memory = NonceMemory(tmp_path, URL)
    memory.add(NONCE)
    (file,) = (tmp_path / "nonces").iterdir()
    for content in ("", "[]", '{"nonces": 5}', '{"nonces": [1, {"host": "x"}, {"until": 5}]}'):
        file.write_text(content)
        assert memory.nonces() == []
