"""The secrets that were made for hosts of a server, kept until each has proven its host."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from kraken_fleet.model import DesiredFleet
from kraken_fleet.plan import (
    ATTESTED,
    Authorize,
    MadeNonce,
    Plan,
    PlanPolicy,
    Recheck,
    trust_with_nonces,
    with_trust_of,
)
from kraken_fleet.reconcile.events import Event, TrialPassed
from kraken_fleet.state import digest_of, replace_json


class NonceMemory:
    """The memory of one server in a state directory.

    Args:
        directory: it need not be there.
        server: the server's URL.
    """

    def __init__(self, directory: Path, server: str) -> None:
        self._path = directory / "nonces" / f"{digest_of(server)}.json"
        self._server = server

    def nonces(self) -> list[MadeNonce]:
        """Return what was made and has not proven its host yet, expired ones too."""
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))["nonces"]
        except (OSError, ValueError, TypeError, KeyError):
            return []
        return [*_read(kept)] if isinstance(kept, list) else []

    def add(self, nonce: MadeNonce) -> None:
        """Keep one in place of an earlier one for the same address.

        Raises:
            OSError: the directory cannot be written.
        """
        self._write([*(one for one in self.nonces() if one.address != nonce.address), nonce])

    def policy(self, policy: PlanPolicy, desired: DesiredFleet | None) -> PlanPolicy:
        """Return a policy by which hosts with a secret of their own have to report it.

        Args:
            desired: the inventory, which says how to authorize the others unless the policy does; None without one.
        """
        trust = with_trust_of(policy, desired or DesiredFleet()).trust or ()
        return dataclasses.replace(policy, trust=trust_with_nonces(trust, self.nonces(), datetime.now(UTC)))

    def forgetting(self, plan: Plan, events: Iterable[Event]) -> Iterator[Event]:
        """Pass the events of a plan on, and forget each secret that has proven its host: it counts once."""
        trials = (action for action in plan.actions if isinstance(action, Authorize | Recheck))
        addresses = {action.label: action.address for action in trials}
        for event in events:
            if isinstance(event, TrialPassed) and event.policy == ATTESTED:
                self._forget(addresses.get(event.subject, ""))
            yield event

    def _forget(self, address: str) -> None:
        nonces = self.nonces()
        left = [nonce for nonce in nonces if nonce.address != address]
        if len(left) < len(nonces):
            self._write(left)

    def _write(self, nonces: Iterable[MadeNonce]) -> None:
        rows = [{**dataclasses.asdict(nonce), "until": nonce.until.isoformat()} for nonce in nonces]
        replace_json(self._path, {"server": self._server, "nonces": rows})


def _read(rows: Iterable[object]) -> Iterator[MadeNonce]:
    for row in rows:
        with contextlib.suppress(TypeError, ValueError, KeyError):
            if isinstance(row, dict):
                until = datetime.fromisoformat(row["until"])
                yield MadeNonce(str(row["host"]), str(row["address"]), str(row["sha256"]), until)
