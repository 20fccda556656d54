"""Checks the signatures of files that this host has downloaded, with its own ssh-keygen."""

from __future__ import annotations

import os
import subprocess
from typing import List

from .changes import HostError
from .commands import find

# Both as in kraken_fleet/bundle/signature.py, which signs.
NAMESPACE = "kraken-fleet"
SUFFIX = ".sig"
ADVICE = "Sign it with `kraken-fleet bundle build --sign-key FILE`, or take kraken_agent_bundle_allowed_signers out"
_TIMEOUT = 60


def check(content: bytes, signature: bytes, allowed_signers: str, where: str) -> None:
    """Refuse content that nobody has signed who may.

    Args:
        allowed_signers: the text of a file, as ALLOWED SIGNERS in ssh-keygen(1) describes it.
        where: the signature's URL, for messages.

    Raises:
        HostError: the signature does not hold, or this host cannot check it.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix=".kraken-signature-") as directory:
        keys, signed = os.path.join(directory, "allowed_signers"), os.path.join(directory, "signature")
        for path, written in ((keys, allowed_signers.encode()), (signed, signature)):
            with open(path, "wb") as file:
                file.write(written)
        about = ["-f", keys, "-s", signed]
        name = _ssh_keygen(["find-principals", *about], b"", where).partition("\n")[0].strip()
        _ssh_keygen(["verify", *about, "-I", name, "-n", NAMESPACE], content, where)


def _ssh_keygen(arguments: List[str], content: bytes, where: str) -> str:
    program = find("ssh-keygen")
    if program is None:
        raise HostError(
            f"{where} cannot be checked, nothing was installed: the host has no ssh-keygen. Install openssh-client "
            "(openssh-clients on Red Hat's systems), or take kraken_agent_bundle_allowed_signers out"
        )
    done = subprocess.run(
        [program, "-Y", *arguments],
        input=content,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=_TIMEOUT,
        check=False,
    )
    if done.returncode:
        words = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace").split("\n")
        why = [word.strip() for word in words if word.strip()][-1:] or [f"ssh-keygen ended with {done.returncode}"]
        raise HostError(
            f"{where} does not hold, nothing was installed: {why[0]}. See who has made this file; the keys that may "
            "sign are in kraken_agent_bundle_allowed_signers"
        )
    return done.stdout.decode("utf-8", "replace")
