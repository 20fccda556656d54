"""https with a certificate authority of one's own."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.errors import ServerUnreachableError
from tests.unit.api.fake_kraken import FakeKraken
from tests.unit.api.recorded import PASSWORD


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1; its key is beside it as `key.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
        now + datetime.timedelta(days=1)
    )
    builder = builder.add_extension(address, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    path = tmp_path / "certificate.pem"
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    pem, pkcs8, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(pem, pkcs8, plain))
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[FakeKraken]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server = FakeKraken(context)
    yield server
    server.stop()


def test_a_certificate_of_an_unknown_authority_is_refused(secure: FakeKraken) -> None:
    client = KrakenClient(secure.url, PasswordCredentials("admin", PASSWORD))
    with client, pytest.raises(ServerUnreachableError, match="no trusted TLS connection") as caught:
        client.version()
    assert "CA bundle" in str(caught.value.hint)
    assert secure.requests == []


def test_with_its_ca_bundle_it_is_trusted(secure: FakeKraken, certificate: Path) -> None:
    with KrakenClient(secure.url, PasswordCredentials("admin", PASSWORD), ca_bundle=certificate) as client:
        assert client.version() == "1.7.36"


def test_a_ca_bundle_of_the_environment_does_not_take_the_place_of_the_given_one(
    secure: FakeKraken, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such.pem")
    with KrakenClient(secure.url, PasswordCredentials("admin", PASSWORD), ca_bundle=certificate) as client:
        assert client.version() == "1.7.36"
