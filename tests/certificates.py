"""An authority and the certificates that it signs, for tests of mutual TLS."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_PEM = serialization.Encoding.PEM


class Authority:
    """Signs certificates into a directory; its own is `ca.pem` there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("authority of a test")
        self.certificate = directory / "ca.pem"
        self._write(self.certificate, self._name, self._key, authority=True)

    def sign(self, name: str) -> tuple[Path, Path]:
        """Make a certificate; return it and its key, which only the owner can read."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, private = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        self._write(certificate, _named(name), key, authority=False)
        private.touch(mode=0o600)
        private.write_bytes(key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return certificate, private

    def _write(self, path: Path, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> None:
        now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        builder = x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - day).not_valid_after(now + day)
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        path.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
