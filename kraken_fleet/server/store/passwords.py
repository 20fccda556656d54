"""Passwords: made, hashed with scrypt, checked. Only the hash is ever kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets

# 16 MiB and about 50 ms for each guess. They stand in each hash, so that they can be raised later.
_COST, _BLOCK, _LANES = 2**14, 8, 1


def new_password() -> str:
    """Make a random password of about 120 bits that survives copying from a terminal."""
    # Letters, digits, - and _: nothing that a shell or a terminal takes for something else.
    return secrets.token_urlsafe(15)


def hash_password(password: str) -> str:
    """Hash as `scrypt$cost$block$lanes$salt$digest`, salt and digest in hex. Takes about 50 ms."""
    salt = secrets.token_bytes(16)
    digest = _digest(password, salt, _COST, _BLOCK, _LANES)
    return f"scrypt${_COST}${_BLOCK}${_LANES}${salt.hex()}${digest.hex()}"


def check_password(password: str, hashed: str) -> bool:
    """Return True when the password is the one behind the hash."""
    scheme, cost, block, lanes, salt, digest = hashed.split("$")
    if scheme != "scrypt":
        return False
    found = _digest(password, bytes.fromhex(salt), int(cost), int(block), int(lanes))
    return hmac.compare_digest(found.hex(), digest)


# Checked against when the user is unknown, so that the answer takes as long as for a known one.
NOBODY = f"scrypt${_COST}${_BLOCK}${_LANES}${'00' * 16}${'00' * 32}"


def _digest(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=lanes, dklen=32)
