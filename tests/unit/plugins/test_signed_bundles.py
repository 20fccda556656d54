"""What is installed only with a signature: checked on the controller, and on the host for what it downloads itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import signatures, task
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import bundles, windows_files

from kraken_fleet import bundle
from kraken_fleet.bundle import signature
from kraken_fleet.errors import BundleError
from tests import background
from tests.signing import allow, make_key
from tests.unit.plugins.test_host_converge import parameters


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory with an agent that anybody may have made."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name in bundles.NAMES:
        (folder / name).write_bytes(f"# the file {name}\n".encode())
    return folder


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "key")


@pytest.fixture
def wanted(tmp_path: Path, files: Path, key: Path) -> dict[str, Any]:
    """The arguments for this agent, when it has to be signed."""
    sums = {name: hashlib.sha256((files / name).read_bytes()).hexdigest() for name in bundles.NAMES}
    signers = allow(tmp_path / "allowed_signers", key)
    return {"bundle_sha256": sums, "bundle_version": "1.0", "bundle_allowed_signers": str(signers)}


def sign(folder: Path, key: Path, names: tuple[str, ...] = bundles.NAMES) -> None:
    for name in names:
        signature.sign(folder / name, key)


@pytest.fixture
def url(files: Path) -> Iterator[str]:
    """Where the directory can be downloaded from."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(files))
    with background.serving(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def on_host(arguments: dict[str, Any], directory: Path, **changes: Any) -> dict[str, Any]:
    """What a host answers that is to install what these arguments say."""
    own = {"service_state": "stopped", "enabled": False, "checks": None, "predict": False, "ca_bundle": ""}
    sent = {"allowed_signers": "", "self_checking": False, **bundles.sent_files(arguments)}
    return task.answer({**parameters(directory, **own), **sent, "ca_bundle": "", **changes})


def test_a_directory_is_sent_only_when_each_file_is_signed(files: Path, key: Path, wanted: dict[str, Any]) -> None:
    arguments = {**wanted, "bundle": str(files)}
    sign(files, key, ("kkagent",))
    with pytest.raises(BundleError, match=r"kktool: It is not signed: there is no .*kktool\.sig"):
        bundles.sent_files(arguments)
    sign(files, key)
    assert [one["name"] for one in bundles.sent_files(arguments)["binaries"]] == list(bundles.NAMES)
    sign(files, make_key(files.parent / "another"))
    with pytest.raises(BundleError, match="Nothing was installed"):
        bundles.sent_files(arguments)


def test_a_signature_is_asked_of_the_agent_that_is_built_here_too(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    arguments = {"bundle_allowed_signers": str(allow(tmp_path / "signers", key))}
    with pytest.raises(BundleError, match="It is not signed"):
        bundles.sent_files(arguments)
    bundle.build(tmp_path / "out")
    sign(tmp_path / "out", key)
    assert bundles.sent_files({**arguments, "bundle": str(tmp_path / "out")})["self_checking"] is True


@pytest.mark.parametrize("download", ["host", "controller"])
def test_what_a_server_serves_is_checked_on_the_controller_whoever_downloads_it(
    tmp_path: Path, key: Path, download: str
) -> None:
    folder = tmp_path / "www" / "bk" / "install"
    folder.mkdir(parents=True)
    for name in ("agent", "tool"):
        (folder / name).write_bytes(name.encode())
    arguments = {"source": "server", "download": download}
    arguments["bundle_allowed_signers"] = str(allow(tmp_path / "signers", key))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    with background.serving(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        arguments["server_url"] = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(BundleError, match=r"It is not signed: there is no .*/install/agent\.sig"):
            bundles.sent_files(arguments)
        sign(folder, key, ("agent", "tool"))
        assert len(bundles.sent_files(arguments)["binaries"]) == 2


def test_a_host_installs_what_it_downloads_only_with_a_signature(
    tmp_path: Path, files: Path, key: Path, wanted: dict[str, Any], url: str
) -> None:
    home = tmp_path / "home"
    arguments = {**wanted, "bundle_url": url}
    for signer in (None, make_key(tmp_path / "another")):
        if signer:
            sign(files, signer)
        for predict in (True, False):
            answer = on_host(arguments, home, predict=predict)
            assert answer["failed"] is True
            assert "nothing was installed" in answer["msg"]
            assert f"{url}/kkagent" in answer["msg"]
            assert not home.exists()
    sign(files, key)
    assert on_host(arguments, home)["changed"] is True
    assert (home / "current" / "kktool").read_bytes() == b"# the file kktool\n"
    for name in bundles.NAMES:
        (files / f"{name}.sig").unlink()
    assert on_host(arguments, home)["changed"] is False, "a host that has the release downloads nothing"
    (home / "current" / "kktool").write_bytes(b"damaged")
    assert "kktool is not signed" in on_host(arguments, home)["msg"]


def test_a_host_without_ssh_keygen_says_what_to_install(
    tmp_path: Path, files: Path, key: Path, wanted: dict[str, Any], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign(files, key)
    monkeypatch.setattr(signatures, "find", lambda name: None)
    answer = on_host({**wanted, "bundle_url": url}, tmp_path / "home")
    assert "the host has no ssh-keygen. Install openssh-client" in answer["msg"]
    assert not (tmp_path / "home").exists()


def test_files_for_windows_hosts_are_checked_on_the_controller(
    tmp_path: Path, files: Path, key: Path, wanted: dict[str, Any], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(windows_files, "_nssm", lambda arguments: b"MZ")
    for where in ({"bundle": str(files), "bundle_url": ""}, {"bundle": "", "bundle_url": url}):
        arguments = {"source": "bundle", "server": "", "ca_bundle": "", **wanted, **where}
        with pytest.raises(BundleError, match="It is not signed"):
            windows_files.prepared(arguments)
        sign(files, key)
        assert windows_files.prepared(arguments)["release"].startswith("1.0-")
        for name in bundles.NAMES:
            (files / f"{name}.sig").unlink()


def test_an_agent_that_follows_its_server_is_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match="Set kraken_agent_update to managed"):
        bundles.sent_files({**wanted, "update": "server"})


def test_both_halves_mean_the_same_signature() -> None:
    assert (signatures.NAMESPACE, signatures.SUFFIX) == (signature.NAMESPACE, signature.SUFFIX)
