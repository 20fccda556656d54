"""The files for Windows hosts, gathered on the controller."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.windows_files import NSSM_SHA256, prepared

from kraken_fleet import bundle
from kraken_fleet.errors import BundleError
from tests.unit.api.fake_kraken import FakeKraken
from tests.unit.api.test_tls import certificate, secure  # noqa: F401 - the fixtures are used by name


def _archive(name: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        opened.writestr(name, b"MZ")
    return made.getvalue()


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Another agent than ours in a directory, with NSSM beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    nssm = tmp_path / "nssm.zip"
    nssm.write_bytes(_archive("nssm-2.24/win64/nssm.exe"))
    files = {"kkagent": b"#!python an agent", "kktool": b"#!python a tool"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return {
        "bundle": str(tmp_path),
        "bundle_sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "bundle_url": "",
        "bundle_version": "1.7",
        "source": "bundle",
        "server": "",
        "ca_bundle": "",
        "nssm": str(nssm),
        "nssm_sha256": hashlib.sha256(nssm.read_bytes()).hexdigest(),
    }


def test_a_release_is_kept_under_its_name_with_nssm_beside_it(arguments: dict[str, Any]) -> None:
    found = prepared(arguments)
    assert found["release"].startswith("1.7-")
    directory = Path(found["directory"])
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == {
        "kkagent": b"#!python an agent",
        "kktool": b"#!python a tool",
        "nssm.exe": b"MZ",
    }
    (directory / "kkagent").write_bytes(b"damaged")
    assert prepared(arguments) == found
    assert (directory / "kkagent").read_bytes() == b"#!python an agent"


def test_the_release_of_nssm_that_is_asked_for_by_default_is_known() -> None:
    assert len(NSSM_SHA256) == 64


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bundle": ""}, "own agent does not run on Windows"),
        ({"bundle_sha256": {"kkagent": "0" * 64}}, "The file is damaged"),
        ({"nssm_sha256": "0" * 64}, "The file is damaged"),
        ({"nssm": "/nonexistent.zip"}, "It cannot be read"),
        ({"nssm": "", "server": "127.0.0.1:1"}, "nssm-2.24.zip"),
    ],
)
def test_what_is_not_for_windows_or_damaged_is_refused(
    arguments: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BundleError, match=reason) as caught:
        prepared({**arguments, **changes})
    assert caught.value.hint


@pytest.mark.parametrize("what", ["the agent", "NSSM", "NSSM of the server"])
def test_a_private_certificate_authority_is_trusted_for_all_files(
    arguments: dict[str, Any],
    what: str,
    secure: FakeKraken,  # noqa: F811
    certificate: Path,  # noqa: F811
) -> None:
    changes: dict[str, dict[str, Any]] = {
        "the agent": {"source": "server", "server": secure.url, "bundle": "", "bundle_sha256": {}},
        "NSSM": {"nssm": f"{secure.url}/nssm.zip"},
        "NSSM of the server": {"nssm": "", "server": secure.url},
    }
    with pytest.raises(BundleError, match="CERTIFICATE_VERIFY_FAILED"):
        prepared({**arguments, **changes[what]})
    with pytest.raises(BundleError, match="401"):  # it is reached, and has no such file for us
        prepared({**arguments, **changes[what], "ca_bundle": str(certificate)})


def test_an_archive_without_the_program_is_refused(arguments: dict[str, Any]) -> None:
    content = _archive("nssm-2.24/win32/nssm.exe")
    Path(arguments["nssm"]).write_bytes(content)
    with pytest.raises(BundleError, match="There is no /win64/nssm"):
        prepared({**arguments, "nssm_sha256": hashlib.sha256(content).hexdigest()})


def test_our_own_agent_is_refused_however_it_comes(arguments: dict[str, Any], tmp_path: Path) -> None:
    bundle.build(tmp_path / "ours")
    with pytest.raises(BundleError, match="own agent does not run on Windows"):
        prepared({**arguments, "bundle": str(tmp_path / "ours"), "bundle_sha256": {}})
