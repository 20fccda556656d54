"""A host trusts the certificate authorities of the deploy, before they are in their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.certificates import trusting
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.checks import check_server
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.release import download
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.bundles import fetched
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.role_settings import ca_text

from kraken_fleet.errors import BundleError, UsageError
from tests.unit.api.fake_kraken import FakeKraken
from tests.unit.api.test_tls import certificate, secure  # noqa: F401 - the fixtures are used by name


def test_downloads_and_the_preflight_trust_what_the_deploy_brings(
    secure: FakeKraken,  # noqa: F811 - the imported fixture
    certificate: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    url = f"{secure.url}/no/such/file"
    with pytest.raises(HostError, match="CERTIFICATE_VERIFY_FAILED"):
        download(url)
    (refused,) = [one for one in check_server(secure.url, 2, "") if one["check"] == "http"]
    assert "kraken_agent_ca_bundle" in refused["remedy"]
    with trusting(ca_text(str(certificate))):
        with pytest.raises(HostError, match="Unauthorized"):
            download(url)
        (answered,) = [one for one in check_server(secure.url, 2, "") if one["check"] == "http"]
        assert "CERTIFICATE" not in answered["detail"]
    assert "SSL_CERT_FILE" not in os.environ


def test_the_controller_fetches_with_the_same_authorities(
    secure: FakeKraken,  # noqa: F811
    certificate: Path,  # noqa: F811
) -> None:
    with pytest.raises(BundleError, match="CERTIFICATE_VERIFY_FAILED"):
        fetched(f"{secure.url}/no/such/file")
    with pytest.raises(BundleError, match="401"):
        fetched(f"{secure.url}/no/such/file", str(certificate))


def test_what_users_named_in_the_agents_variables_wins(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("SSL_CERT_FILE", "/their/own.crt")
    with trusting(ca_text(str(certificate))):
        assert os.environ["SSL_CERT_FILE"] == "/their/own.crt"


@pytest.mark.parametrize("content", [None, "no certificate at all"])
def test_a_file_without_certificates_is_refused(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.crt"
    if content:
        path.write_text(content)
    with pytest.raises(UsageError, match="The certificate authorities cannot be read") as caught:
        ca_text(str(path))
    assert "kraken_agent_ca_bundle" in str(caught.value.hint)
