"""The collection is found, and its variables are read once for everybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from kraken_fleet import collection
from kraken_fleet.errors import CollectionError


def test_a_checkout_is_the_collection_itself() -> None:
    assert collection.collection_root() == Path(__file__).resolve().parents[2]


def test_a_collection_that_is_missing_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kraken_fleet.__file__", str(tmp_path / "kraken_fleet" / "__init__.py"))
    with pytest.raises(CollectionError, match=r"is not there\. Install kraken-fleet again") as caught:
        collection.collection_root()
    assert caught.value.where == str(tmp_path)


def test_the_variables_of_all_roles_are_known() -> None:
    found = collection.variables()
    assert {"kraken_agent_dir", "kraken_registration_trust", "kraken_verify_timeout", "kraken_become"} <= set(found)
    assert found["kraken_agent_drain_seconds"]["type"] == "int"
    assert list(collection.role_variables()) == list(collection.roles())


def test_secrets_are_those_that_the_roles_declare_so() -> None:
    assert collection.secret_variables() == {"kraken_server_password", "kraken_server_token"}
