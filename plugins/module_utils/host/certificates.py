"""Certificate authorities that are trusted while a deploy or a preflight runs on a host."""

from __future__ import annotations

import contextlib
import os
from typing import Iterator


@contextlib.contextmanager
def trusting(ca_bundle: str) -> Iterator[None]:
    """Let this process trust these certificate authorities, unless the variables of the agent name others.

    They are not in their place on the host yet, or older ones are.
    """
    if not ca_bundle or os.environ.get("SSL_CERT_FILE"):
        yield
        return
    # Imported here, since few hosts come this far.
    import tempfile

    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".crt") as file:
        file.write(ca_bundle)
        file.flush()
        os.environ["SSL_CERT_FILE"] = file.name
        try:
            yield
        finally:
            del os.environ["SSL_CERT_FILE"]
