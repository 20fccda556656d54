"""The options for the certificate that a machine shows to the scheduler and the workers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kraken_fleet.errors import UsageError
from kraken_fleet.scale.tls import TlsFiles

_PANEL = "Certificates"


def _option(name: str, variable: str, help_text: str) -> Any:
    return typer.Option(name, envvar=variable, help=help_text, metavar="FILE", rich_help_panel=_PANEL)


TlsCa = Annotated[
    Path | None, _option("--tls-ca", "KRAKEN_FLEET_TLS_CA", "The authority that has signed all certificates.")
]
TlsCertificate = Annotated[
    Path | None, _option("--tls-certificate", "KRAKEN_FLEET_TLS_CERTIFICATE", "This machine's certificate.")
]
TlsKey = Annotated[Path | None, _option("--tls-key", "KRAKEN_FLEET_TLS_KEY", "The key of the certificate.")]


def given_files(ca: Path | None, certificate: Path | None, key: Path | None) -> TlsFiles:
    """Return the files.

    Raises:
        UsageError: one was not given, is missing, or is a key that others can read.
    """
    if ca and certificate and key:
        return TlsFiles(ca, certificate, key)
    raise UsageError("Workers are reached over TLS only", hint="Give --tls-ca, --tls-certificate and --tls-key")
