"""The files that go to hosts with a deploy."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import bundles

from kraken_fleet import bundle
from kraken_fleet.errors import BundleError
from tests import background


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_they_are_built_once_and_read_from_the_cache_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    first = bundles.sent_files({})
    monkeypatch.setattr(bundle, "build", lambda directory: pytest.fail("built again"))
    assert bundles.sent_files({}) == first
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
        bundles.sent_files({"bundle": str(tmp_path)})
    sums = dict.fromkeys(bundles.NAMES, hashlib.sha256(b"upstream's").hexdigest())
    sent = bundles.sent_files({"bundle": str(tmp_path), "bundle_sha256": sums})
    assert (sent["bundle_version"], sent["self_checking"]) == ("custom", False)
    with pytest.raises(BundleError, match="The file is damaged"):
        bundles.sent_files({"bundle": str(tmp_path), "bundle_sha256": {**sums, "kktool": "0" * 64}})


def test_a_download_has_to_be_known_before() -> None:
    with pytest.raises(BundleError, match="Set kraken_agent_bundle_version, and kraken_agent_bundle_sha256 for kktool"):
        bundles.sent_files({"bundle_url": "http://h/install", "bundle_sha256": {"kkagent": "a"}, "bundle_version": "1"})
    sums = {"kkagent": "a", "kktool": "b"}
    sent = bundles.sent_files({"bundle_url": "http://h/x/", "bundle_sha256": sums, "bundle_version": "1"})
    assert [one["url"] for one in sent["binaries"]] == ["http://h/x/kkagent", "http://h/x/kktool"]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[str]:
    """A server with an agent, as Kraken's serves it; gives its URL."""
    folder = tmp_path / "www" / "bk" / "install"
    folder.mkdir(parents=True)
    (folder / "agent").write_bytes(b"an agent")
    (folder / "tool").write_bytes(b"a tool")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    with background.serving(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def test_what_the_server_serves_is_downloaded_by_the_host_or_sent_files(serving: str) -> None:
    asked = {"source": "server", "server_url": serving}
    agent, tool = bundles.sent_files(asked)["binaries"]
    assert agent == {
        "name": "kkagent",
        "sha256": hashlib.sha256(b"an agent").hexdigest(),
        "url": f"{serving}/bk/install/agent",
    }
    assert tool["url"] == f"{serving}/bk/install/tool"
    sent = bundles.sent_files({**asked, "download": "controller"})["binaries"]
    assert [zlib.decompress(base64.b64decode(one["content"])) for one in sent] == [b"an agent", b"a tool"]


def test_a_file_of_the_server_that_is_not_the_expected_one_is_refused(serving: str) -> None:
    with pytest.raises(BundleError, match="expected 0000"):
        bundles.sent_files({"source": "server", "server_url": serving, "bundle_sha256": {"kktool": "0" * 64}})


def test_a_server_without_an_agent_is_told_as_such(serving: str) -> None:
    with pytest.raises(BundleError, match="does not give its agent"):
        bundles.sent_files({"source": "server", "server_url": f"{serving}/elsewhere"})


def test_a_page_is_not_taken_for_an_agent(serving: str, tmp_path: Path) -> None:
    (tmp_path / "www" / "bk" / "install" / "agent").write_bytes(b"\n<!doctype html>")
    with pytest.raises(BundleError, match="it answers with a page"):
        bundles.sent_files({"source": "server", "server_url": serving})


@pytest.mark.parametrize("path", ["/", "/bk", "/bk/", "/bk/api", "/api"])
def test_the_server_may_be_written_in_every_way_that_the_command_line_takes(serving: str, path: str) -> None:
    sent = bundles.sent_files({"source": "server", "server_url": f"{serving}{path}"})
    assert [one["url"] for one in sent["binaries"]] == [f"{serving}/bk/install/{name}" for name in ("agent", "tool")]


def test_what_is_sent_is_packed_once_and_anew_when_a_file_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "given"
    bundle.build(given)
    first = bundles.sent_files({"bundle": str(given)})
    with monkeypatch.context() as patched:
        patched.setattr(bundles, "_file", None)
        assert bundles.sent_files({"bundle": str(given)}) == first
    (given / "kkagent").write_bytes(b"damaged")
    with pytest.raises(BundleError, match="kkagent"):
        bundles.sent_files({"bundle": str(given)})
