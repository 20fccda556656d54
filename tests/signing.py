"""Keys of SSH that sign bundles, made by the real ssh-keygen."""

from __future__ import annotations

import subprocess
from pathlib import Path

SIGNER = "releases@example.com"


def make_key(path: Path) -> Path:
    """Make a private key without a passphrase, and its public half in PATH.pub."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def allow(path: Path, *keys: Path, options: str = "") -> Path:
    """Write a file of allowed signers.

    Args:
        options: of each line, as in `namespaces="git"`.
    """
    lines = (f"{SIGNER} {options} {key.with_suffix('.pub').read_text().strip()}\n" for key in keys)
    path.write_text("".join(lines))
    return path
