"""Wrong passwords are rationed: enough tries for a forgetful person, too few for a dictionary."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from kraken_fleet.listen.peers import share_of

WINDOW_SECONDS = 60.0
# Wrong passwords for one account from everywhere, in multiples of what one peer may try.
_EVERYWHERE = 10
# Beyond so many keys the longest unused are forgotten: names of accounts are the attacker's to make up.
_MAX_KEYS = 20_000
_Key = tuple[str, str]


class AttemptLimit:
    """Counts the wrong passwords of the last minute.

    A peer that has signed in to an account before is not kept out by what others try: nobody locks somebody else out.

    Args:
        per_account: wrong passwords a minute for one account from one peer; ten times as many from all peers together.
        per_peer: wrong passwords a minute from one peer, whatever accounts it names.
        clock: monotonic seconds, for tests.
    """

    def __init__(self, per_account: int, per_peer: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_account, self._per_peer = per_account, per_peer
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[_Key, deque[float]] = OrderedDict()
        self._known: OrderedDict[_Key, None] = OrderedDict()

    def wait_seconds(self, user: str, peer: str | None) -> float:
        """Say how long until another attempt is allowed; 0 when it is allowed now."""
        with self._lock:
            return max(self._wait(key, limit) for key, limit in self._limits(user, peer))

    def failed(self, user: str, peer: str | None) -> None:
        """Count a wrong password."""
        moment = self._clock()
        with self._lock:
            for key, limit in self._limits(user, peer):
                times = self._failures.setdefault(key, deque(maxlen=limit))
                times.append(moment)
                self._failures.move_to_end(key)
            _cut(self._failures)

    def succeeded(self, user: str, peer: str | None) -> None:
        """Forget the wrong passwords for this account from this peer."""
        pair = (user, share_of(peer))
        with self._lock:
            self._failures.pop(pair, None)
            self._known[pair] = None
            self._known.move_to_end(pair)
            _cut(self._known)

    def _limits(self, user: str, peer: str | None) -> list[tuple[_Key, int]]:
        share = share_of(peer)
        found = [((user, share), self._per_account), (("", share), self._per_peer)]
        if (user, share) not in self._known:
            found.append(((user, ""), self._per_account * _EVERYWHERE))
        return found

    def _wait(self, key: _Key, limit: int) -> float:
        times = self._failures.get(key)
        if times is None:
            return 0.0
        while times and times[0] + WINDOW_SECONDS <= self._clock():
            times.popleft()
        if len(times) < limit:
            return 0.0
        return times[0] + WINDOW_SECONDS - self._clock()


def _cut(kept: OrderedDict[_Key, deque[float]] | OrderedDict[_Key, None]) -> None:
    while len(kept) > _MAX_KEYS:
        kept.popitem(last=False)
