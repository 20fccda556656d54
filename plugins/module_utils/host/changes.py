"""A difference between a host and what is wanted of it, and how to do away with it.

Planning only reads and yields changes; `apply_all` carries them out. Check mode is the same plan, not applied, so what
it predicts is what a run does.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List

ABSENT = "(absent)"


class HostError(Exception):
    """The host cannot be brought to the wanted state; the text is for people and says what to do next."""


class Change:
    """One difference.

    Args:
        what: it in a few words ("write /opt/kraken/kraken.env").
        apply: does away with it; raises OSError or HostError.
        before: the state now, text for a diff.
        after: the state then.
        before_header: what the text is of, default `what`.
        after_header: likewise.
        restarts: whether a running agent has to be started again to notice.
    """

    def __init__(
        self,
        what: str,
        apply: Callable[[], None],
        *,
        before: str = "",
        after: str = "",
        before_header: str = "",
        after_header: str = "",
        restarts: bool = False,
    ) -> None:
        self.what = what
        self.apply = apply
        self.restarts = restarts
        self._diff = {
            "before": before,
            "after": after,
            "before_header": before_header or what,
            "after_header": after_header or before_header or what,
        }

    @property
    def diff(self) -> Dict[str, str]:
        return dict(self._diff)


def apply_all(changes: Iterable[Change]) -> None:
    """Carry out changes in their order; the first that fails ends it.

    Raises:
        HostError: one failed; the text says which and why.
    """
    for change in changes:
        try:
            change.apply()
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise HostError(f"Cannot {change.what}: {error.strerror or error}{where}") from error


def as_result(changes: List[Change]) -> Dict[str, Any]:
    """Return changes, made or predicted, in the form of an Ansible result."""
    return {
        "changed": bool(changes),
        "changes": [change.what for change in changes],
        "diff": [change.diff for change in changes],
    }
