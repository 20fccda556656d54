"""Signatures of bundles, as people make and check them with the command line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from kraken_fleet import bundle
from kraken_fleet.bundle import signature
from kraken_fleet.cli.main import main
from kraken_fleet.errors import BundleError
from tests.signing import SIGNER, allow, make_key


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "release-key")


@pytest.fixture
def signers(tmp_path: Path, key: Path) -> Path:
    return allow(tmp_path / "allowed_signers", key)


def test_a_bundle_is_signed_when_it_is_built_and_verified_with_its_signer(
    tmp_path: Path, key: Path, signers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for _ in range(2):  # the second time the signatures are there
        assert main(["bundle", "build", "--out", str(out), "--sign-key", str(key)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["kkagent", "kkagent.sig", "kktool", "kktool.sig"]
    capsys.readouterr()
    files = [str(out / "kkagent"), str(out / "kktool")]
    assert main(["bundle", "verify", *files, "--allowed-signers", str(signers), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["data"] == [{"file": file, "signed_by": SIGNER} for file in files]


def test_a_file_that_was_changed_or_is_not_signed_is_named_and_the_command_fails(
    tmp_path: Path, key: Path, signers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent, tool = (made.path for made in bundle.build(tmp_path))
    signature.sign(agent, key)
    agent.write_bytes(agent.read_bytes() + b"more")
    assert main(["bundle", "verify", str(agent), "--allowed-signers", str(signers)]) == 1
    said = capsys.readouterr().err
    assert str(agent) in said
    assert "incorrect signature" in said
    assert main(["bundle", "verify", str(tool), "--allowed-signers", str(signers)]) == 1
    assert "It is not signed" in capsys.readouterr().err


def test_an_archive_of_an_image_is_verified_like_a_bundle(tmp_path: Path, key: Path, signers: Path) -> None:
    """Signed with ssh-keygen alone, as docs/install-methods.md says."""
    archive = tmp_path / "kkagent-0.1.0.tar"
    archive.write_bytes(b"layers")
    sign = ["ssh-keygen", "-Y", "sign", "-n", "kraken-fleet", "-f", str(key), str(archive)]
    subprocess.run(sign, check=True, capture_output=True)
    verify = ["bundle", "verify", str(archive), "--allowed-signers", str(signers)]
    assert main(verify) == 0
    archive.write_bytes(b"another's layers")
    assert main(verify) == 1


def test_a_key_that_may_not_sign_bundles_is_refused(tmp_path: Path, key: Path, signers: Path) -> None:
    file = tmp_path / "kkagent"
    file.write_bytes(b"an agent")
    signature.sign(file, make_key(tmp_path / "another"))
    with pytest.raises(BundleError, match="No principal matched"):
        signature.check_file(file, signers)
    signature.sign(file, key)
    assert signature.check_file(file, signers) == SIGNER
    with pytest.raises(BundleError, match="does not hold"):
        signature.check_file(file, allow(tmp_path / "for_git", key, options='namespaces="git"'))


@pytest.mark.parametrize("content", [b"no signature", b"-----BEGIN SSH SIGNATURE-----\n", b"\0\xff"])
def test_what_is_no_signature_is_refused(tmp_path: Path, signers: Path, content: bytes) -> None:
    with pytest.raises(BundleError, match="does not hold"):
        signature.check(b"an agent", content, signers, "kkagent")


@pytest.mark.parametrize("content", [None, "", "# nobody\n\n"])
def test_a_file_of_allowed_signers_without_any_is_named(tmp_path: Path, content: str | None) -> None:
    nobody = tmp_path / "nobody"
    if content is not None:
        nobody.write_text(content)
    with pytest.raises(BundleError, match="allowed signer") as caught:
        signature.check(b"an agent", b"signed", nobody, "kkagent")
    assert caught.value.where == str(nobody)


def test_what_is_no_key_cannot_sign(tmp_path: Path) -> None:
    file = tmp_path / "kkagent"
    file.write_bytes(b"an agent")
    with pytest.raises(BundleError, match="The key cannot sign"):
        signature.sign(file, tmp_path / "nothing")
    assert not (tmp_path / "kkagent.sig").exists()


def test_a_machine_without_ssh_keygen_is_told_what_to_install(
    tmp_path: Path, signers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BundleError, match=r"ssh-keygen is not on this machine.*openssh-client"):
        signature.check(b"an agent", b"signed", signers, "kkagent")
