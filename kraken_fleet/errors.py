"""Every error that kraken-fleet raises on purpose.

    FleetError                      1   anything below
    ├── UsageError                 64   the command line itself is wrong
    ├── InventoryError              1   a host, group or variable of the inventory
    ├── ServerError                 1   the Kraken server
    │   ├── ServerUnreachableError  1   no answer: refused, timed out, name unknown, TLS
    │   ├── NotSignedInError        1   401: wrong password, unknown or expired token, none given
    │   ├── NotPermittedError       1   403: signed in, but not an administrator
    │   ├── RequestRejectedError    1   any other 4xx: what we asked for is not possible
    │   ├── ServerFaultError        1   5xx: the server broke while answering
    │   └── UnexpectedAnswerError   1   an answer that is not what a Kraken server says
    ├── PlanError                   1   a plan that must not be applied: stale, refused, damaged
    ├── UnsafeChangeError           1   a change that is known to break a Kraken server
    ├── CollectionError             1   the Ansible collection that comes with kraken-fleet
    ├── BundleError                 1   a kkagent or kktool file that is missing or damaged
    ├── NetworkError                1   addresses of MinIO and ClickHouse that cannot be found or reached
    ├── VerificationError           1   a job that did not run, failed, or left no log
    ├── NotSentError                1   a message that a receiver did not take
    ├── LabError                    1   a disposable fleet on this machine
    │   └── PortInUseError          1   another program listens there
    ├── DataDirectoryError          1   the embedded server's data directory: damaged, in use, of another version
    ├── BackupError                 1   a backup of the embedded server that cannot be made or restored
    ├── PartialFailureError         3   some agents were done, others were not
    └── StoppedError              130   interrupted, and what was begun is not whole

The number is the exit code that the command line gives it. A message says what is wrong and where; the hint says what
to do next. Libraries raise; only the command line and the Ansible plugins turn errors into text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class FleetError(Exception):
    """Something the user can act on.

    Args:
        message: what is wrong, in one sentence, with the value that was found.
        where: the file, host, variable or URL it was found at.
        hint: what to do next, in one sentence.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        located = f"{self.where}: {self.message}" if self.where else self.message
        return f"{located}. {self.hint}" if self.hint else located

    def as_dict(self) -> dict[str, str | None]:
        """Return the same for programs: the `error` object of every `--json` answer."""
        return {
            "kind": type(self).__name__.removesuffix("Error"),
            "message": self.message,
            "where": self.where,
            "hint": self.hint,
        }


class UsageError(FleetError):
    """The command line itself is wrong. Not 2: that number means "there are changes" to `plan`."""

    exit_code = 64


class InventoryError(FleetError):
    """A host, group or variable of the inventory is wrong.

    Args:
        host: the host it was found on, if it concerns one.
        variable: the variable that is wrong, if it is one.
        where: made of host and variable when it is not given.
        problems: what is wrong, one by one, when this error stands for several.
    """

    def __init__(
        self,
        message: str,
        *,
        host: str | None = None,
        variable: str | None = None,
        where: str | None = None,
        hint: str | None = None,
        problems: Sequence[InventoryError] = (),
    ) -> None:
        named = ", ".join(f"{kind} {name}" for kind, name in (("host", host), ("variable", variable)) if name)
        super().__init__(message, where=where or named or None, hint=hint)
        self.host = host
        self.variable = variable
        self.problems = tuple(problems)


class ServerError(FleetError):
    """The Kraken server did not do what was asked; `where` is the method and URL."""


class ServerUnreachableError(ServerError):
    """There was no answer at all."""


class NotSignedInError(ServerError):
    """The server knows neither the password nor the token (401).

    Attributes:
        for_now: it does not say so, but takes no passwords for a while.
    """

    for_now = False


class NotPermittedError(ServerError):
    """The account is known but may not do this (403)."""


class RequestRejectedError(ServerError):
    """The server understood and refused (a 4xx other than 401 and 403).

    Args:
        status: the HTTP status; Kraken answers 400 to a GET of an unknown agent or group and 404 to other methods.
        detail: the server's own words.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        detail: str = "",
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.status = status
        self.detail = detail


class ServerFaultError(ServerError):
    """The server failed while answering (5xx); Kraken gives no reason, its body is `{}`."""


class UnexpectedAnswerError(ServerError):
    """The answer is not JSON or lacks what every Kraken server sends: probably not a Kraken server."""


class PlanError(FleetError):
    """A plan that must not be applied: stale, damaged, or larger than allowed."""


class UnsafeChangeError(FleetError):
    """A change that a Kraken server accepts and then breaks on, so it is never sent."""


class CollectionError(FleetError):
    """The Ansible collection kraken_ci.fleet is not where it should be."""


class BundleError(FleetError):
    """A kkagent or kktool file is missing, damaged or not the one that was asked for."""


class NetworkError(FleetError):
    """The addresses of MinIO or ClickHouse cannot be found, or a host cannot reach them."""


class VerificationError(FleetError):
    """A proof job did not start, did not succeed, or left no log line."""


class NotSentError(FleetError):
    """A receiver of messages did not take one; `where` names the receiver, never its URL."""


class LabError(FleetError):
    """A disposable fleet on this machine could not be made or removed."""


class PortInUseError(LabError):
    """Another program listens on the port."""


class DataDirectoryError(FleetError):
    """The embedded server's data directory is damaged, in use by another server, or of another version."""


class BackupError(FleetError):
    """A backup of the embedded server cannot be made, is damaged, or cannot be restored here."""


class PartialFailureError(FleetError):
    """Some were done and some were not.

    Args:
        failures: what failed, by host or agent name, each with its reason.
        done: what was done, by the same names, each with its state; filled in by whoever follows the changes.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        failures: Mapping[str, str],
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.failures = dict(failures)
        self.done: Mapping[str, str] = {}

    def as_dict(self) -> dict[str, object]:  # type: ignore[override]
        return {**super().as_dict(), "failures": self.failures, "done": dict(self.done)}


class StoppedError(FleetError):
    """Somebody has interrupted this, and what was begun is not whole. The code is 128 and the number of SIGINT."""

    exit_code = 130
