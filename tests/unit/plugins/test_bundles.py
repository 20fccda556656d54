"""The files that go to hosts with a deploy."""

from __future__ import annotations

import base64
import hashlib
import zlib
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils import bundles

from kraken_fleet import bundle
from kraken_fleet.errors import BundleError


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_they_are_built_once_and_read_from_the_cache_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    first = bundles.sent_along({})
    monkeypatch.setattr(bundle, "build", lambda directory: pytest.fail("built again"))
    assert bundles.sent_along({}) == first
    assert first["self_checking"] is True
    for one in first["binaries"]:
        content = zlib.decompress(base64.b64decode(one["content"]))
        assert hashlib.sha256(content).hexdigest() == one["sha256"]


def test_another_source_is_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    first = bundles.built()
    monkeypatch.setattr(bundles, "_source_mark", lambda: "another")
    assert bundles.built() != first


def test_a_file_of_another_agent_needs_its_checksum(tmp_path: Path) -> None:
    for name in bundles.NAMES:
        (tmp_path / name).write_bytes(b"upstream's")
    with pytest.raises(BundleError):
        bundles.sent_along({"bundle": str(tmp_path)})
    sums = dict.fromkeys(bundles.NAMES, hashlib.sha256(b"upstream's").hexdigest())
    sent = bundles.sent_along({"bundle": str(tmp_path), "bundle_sha256": sums})
    assert (sent["bundle_version"], sent["self_checking"]) == ("custom", False)
    with pytest.raises(BundleError, match="the file is damaged"):
        bundles.sent_along({"bundle": str(tmp_path), "bundle_sha256": {**sums, "kktool": "0" * 64}})


def test_a_download_has_to_be_known_before() -> None:
    with pytest.raises(BundleError, match="Set kraken_agent_bundle_version, and kraken_agent_bundle_sha256 for kktool"):
        bundles.sent_along({"bundle_url": "http://h/install", "bundle_sha256": {"kkagent": "a"}, "bundle_version": "1"})
    sums = {"kkagent": "a", "kktool": "b"}
    sent = bundles.sent_along({"bundle_url": "http://h/x/", "bundle_sha256": sums, "bundle_version": "1"})
    assert [one["url"] for one in sent["binaries"]] == ["http://h/x/kkagent", "http://h/x/kktool"]
