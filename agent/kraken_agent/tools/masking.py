"""Which values of a step are secret, and how they are hidden in text."""

from __future__ import annotations

from typing import Any, Iterable, List, Mapping

MASK = "******"
# Shorter ones would turn ordinary text into asterisks.
_SHORTEST = 4


def secrets_of(step: Mapping[str, Any]) -> List[str]:
    """Every secret that the server put into a step, longest first, so that a secret within a secret leaves no rest."""
    found = {str(value) for value in step.get("secrets") or ()}
    found.update(str(step[key]) for key in ("access-token", "minio_secret_key") if step.get(key))
    key = step.get("ssh-key")
    if isinstance(key, dict) and key.get("key"):
        found.add(str(key["key"]).strip())
    return sorted((value for value in found if len(value) >= _SHORTEST), key=len, reverse=True)


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text with each secret replaced by asterisks."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text
