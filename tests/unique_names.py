"""Names and addresses that no other test uses, and not the same test in its next run.

Servers are shared: among tests, among runs, and the real one keeps the names of what was deleted. A test that brings a
name of its own to a server takes it from here, so that it can be run twice in a row and beside itself.
"""

from __future__ import annotations

import secrets


def unique_name(kind: str = "test", joint: str = "-") -> str:
    """A new name for a project, a group, a stage, a tool or a bucket.

    Args:
        kind: what the name begins with, so that a reader of a server's lists knows whose it is.
        joint: what comes between; `_` where only identifiers are allowed.
    """
    return f"{kind}{joint}{secrets.token_hex(4)}"


def unique_address() -> str:
    """An agent's address, outside the networks that this machine connects from."""
    return f"10.{secrets.randbelow(256)}.{secrets.randbelow(256)}.{secrets.randbelow(256)}"


def unique_loopback() -> str:
    """An address that this machine can connect from."""
    return f"127.{64 + secrets.randbelow(64)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
