"""What people may do, by their role on the Kraken server, which is read with the console's own account."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, NotPermittedError, NotSignedInError

# A role that was taken away on the server counts here after this time at the latest.
ROLE_SECONDS = 60.0
# More names than people have; those that were asked about first are forgotten then.
_MOST_NAMES = 10_000


class ConsoleAccountError(FleetError):
    """The Kraken server does not let the console's own account read what its pages need."""


class Standing(Enum):
    """What the server's role of a person means here. NOBODY has no account there, or one that is disabled."""

    NOBODY = "nobody"
    VIEWER = "viewer"
    ADMINISTRATOR = "administrator"


class People:
    """Looks people up on the server.

    Args:
        client: signs in with the console's own account, which has to be an administrator's.
        clock: monotonic seconds, for tests.
    """

    def __init__(self, client: KrakenClient, clock: Callable[[], float] = time.monotonic) -> None:
        self.client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Standing]] = {}

    def standing(self, name: str) -> Standing:
        """Return what somebody is on the server now, or was within the last minute.

        Raises:
            ConsoleAccountError: the console's own account is refused.
            ServerError: the server does not answer.
        """
        with self._lock:
            read, standing = self._known.get(name, (float("-inf"), Standing.NOBODY))
        if self._clock() - read < ROLE_SECONDS:
            return standing
        standing = self._asked(name)
        with self._lock:
            self._known.pop(name, None)
            self._known[name] = (self._clock(), standing)
            while len(self._known) > _MOST_NAMES:
                del self._known[next(iter(self._known))]
        return standing

    def _asked(self, name: str) -> Standing:
        try:
            user = self.client.find_user(name)
        except (NotSignedInError, NotPermittedError) as error:
            raise refused_account(error) from error
        if user is None or not user.enabled:
            return Standing.NOBODY
        return Standing.ADMINISTRATOR if user.superadmin else Standing.VIEWER


def refused_account(error: FleetError) -> ConsoleAccountError:
    """Return what people are told when the server refuses the console's own account."""
    hint = "It has to be an administrator's: whoever runs the console gives it with --user and --password-file"
    return ConsoleAccountError(f"The console's own account is refused: {error.message}", where=error.where, hint=hint)
