"""The secret by which an agent shows that it is the one on this host: made here, and read by the agent alone.

Only its sha256 goes back to the controller.
"""

from __future__ import annotations

import hashlib
import os
from typing import Iterator

from . import opening
from .changes import ABSENT, Change
from .files import Attributes, absent, attributes_of, set_attributes, write_file
from .spec import AgentSpec

# What a digest is in check mode, before there is a secret.
PENDING = "pending"


def converge(spec: AgentSpec, owner: Attributes) -> Iterator[Change]:
    """Write a secret where the agent is attested, a new one when that is asked for; remove it elsewhere.

    Args:
        owner: the agent's own owner and group; its mode is not used.
    """
    path, wanted = spec.nonce_file, owner._replace(mode=0o600)
    if not spec.attested:
        yield from absent(path)
    elif spec.fresh_nonce or not _there(path):
        yield Change(
            f"write {path}",
            lambda: write_file(path, os.urandom(32).hex().encode(), wanted),
            after="(a new secret)\n",
            before_header=path if opening.status(path) else ABSENT,
            after_header=f"{path} {wanted}",
            restarts=True,
        )
    elif attributes_of(path)[: 3 if wanted.owner else 1] != wanted[: 3 if wanted.owner else 1]:
        yield Change(f"set owner and mode of {path}", lambda: set_attributes(path, wanted), after=f"{wanted}\n")


def digest(spec: AgentSpec) -> str:
    """Return the sha256 of the secret in hexadecimal; empty for an agent that is not attested."""
    if not spec.attested:
        return ""
    secret = opening.read_bytes(spec.nonce_file)
    return hashlib.sha256(secret).hexdigest() if secret else PENDING


def _there(path: str) -> bool:
    return bool(opening.read_bytes(path))
