"""The secret of an attested agent on its host."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import nonce
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import apply_all
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.files import Attributes
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec import AgentSpec
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.users import current_user, primary_group

ME = current_user()
MINE = Attributes(0o700)


@pytest.fixture
def spec(tmp_path: Path) -> AgentSpec:
    group = primary_group(ME, ME)
    return AgentSpec("", str(tmp_path), "kraken-agent", ME, group, sys.executable, {}, attested=True)


def test_a_secret_is_made_once_for_the_agent_alone_and_only_its_digest_is_told(spec: AgentSpec) -> None:
    (change,) = nonce.converge(spec, MINE)
    assert nonce.digest(spec) == nonce.PENDING
    change.apply()
    secret = Path(spec.nonce_file).read_bytes()
    assert len(secret) == 64
    assert Path(spec.nonce_file).stat().st_mode & 0o777 == 0o600
    assert nonce.digest(spec) == hashlib.sha256(secret).hexdigest()
    assert secret.decode() not in str(change.diff)
    assert list(nonce.converge(spec, MINE)) == []


def test_a_new_secret_is_made_when_that_is_asked_for(spec: AgentSpec) -> None:
    apply_all(nonce.converge(spec, MINE))
    before = nonce.digest(spec)
    (change,) = nonce.converge(spec._replace(fresh_nonce=True), MINE)
    assert change.restarts
    change.apply()
    assert nonce.digest(spec) not in (before, nonce.PENDING)


def test_a_mode_that_somebody_opened_is_closed_and_the_secret_stays(spec: AgentSpec) -> None:
    apply_all(nonce.converge(spec, MINE))
    before = nonce.digest(spec)
    Path(spec.nonce_file).chmod(0o644)
    (change,) = nonce.converge(spec, MINE)
    assert change.what == f"set owner and mode of {spec.nonce_file}"
    change.apply()
    assert Path(spec.nonce_file).stat().st_mode & 0o777 == 0o600
    assert nonce.digest(spec) == before


def test_an_agent_that_is_not_attested_has_none(spec: AgentSpec) -> None:
    apply_all(nonce.converge(spec, MINE))
    plain = spec._replace(attested=False)
    apply_all(nonce.converge(plain, MINE))
    assert not Path(spec.nonce_file).exists()
    assert nonce.digest(plain) == ""
    assert list(nonce.converge(plain, MINE)) == []
