"""Sending one request: connections, time limits, repeats, signing in, and what went wrong."""

from __future__ import annotations

import copy
import dataclasses
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal, Self, TypedDict, Unpack

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util import Retry

from kraken_fleet import __version__
from kraken_fleet.address import ServerAddress
from kraken_fleet.api import decode
from kraken_fleet.api.answers import Answer, raise_for_refusal, read_answer
from kraken_fleet.api.changes import Names, Recorder, in_words
from kraken_fleet.api.credentials import Credentials, PasswordCredentials, TokenCredentials
from kraken_fleet.api.unreachable import unreachable
from kraken_fleet.errors import FleetError, NotSignedInError, RequestRejectedError, UsageError

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class _Content(TypedDict, total=False):
    """What a request carries besides its address."""

    params: Mapping[str, str | int] | None
    body: object


# How many requests of one client are on their way at the same time; more wait for one of them to end.
MAX_CONNECTIONS = 8

# Every PUT, PATCH and DELETE that this client sends says what should be: saying it twice changes nothing. A POST is
# repeated only after a failed connect, when it cannot have been sent; urllib3 does that for every method.
_REPEATABLE = frozenset({"GET", "PUT", "PATCH", "DELETE"})
# What a reverse proxy says while the server behind it restarts. Kraken's own 500 is not among them: it stays a 500.
_PASSING_STATUSES = frozenset({502, 503, 504})
_CONNECT_TIMEOUT = 5.0
_TOO_MANY = 429
# A command that is over should not wait long for a server that has gone.
_SIGN_OUT_TIMEOUT = (1.0, 3.0)
# The time in a late answer may be from long after the question.
_PROMPT = timedelta(seconds=1)


@dataclasses.dataclass(slots=True)
class _Shared:
    """What a session and its twins that are recorded have in common.

    `clock_ahead` says how much the server's clock is ahead of ours, after its last prompt answer: to about a second.
    `over` says that nobody may sign in any more.
    """

    token: str | None
    clock_ahead: timedelta | None = None
    over: bool = False


class Session:
    """Requests to one Kraken server, signed in when need be. Usable from several threads.

    Each thread has a `requests.Session` of its own, since those are not made to be shared; all of them use one pool of
    at most MAX_CONNECTIONS connections, which is.

    Args:
        address: the server.
        credentials: who we are; None sends requests without a token.
        ca_bundle: a file with the certificates to trust for https; None for the system's own.
        timeout: seconds to wait for an answer, and for each further piece of it; connecting gets at most 5 of them.

    Raises:
        UsageError: there is no such `ca_bundle`.
    """

    def __init__(
        self,
        address: ServerAddress,
        credentials: Credentials | None,
        *,
        ca_bundle: str | Path | None = None,
        timeout: float = 10.0,
    ) -> None:
        if ca_bundle is not None and not Path(ca_bundle).exists():
            raise UsageError("There is no such file of CA certificates", where=str(ca_bundle))
        self.address = address
        self._credentials = credentials
        self._verify: str | bool = str(ca_bundle) if ca_bundle is not None else True
        self._timeout = (min(timeout, _CONNECT_TIMEOUT), timeout)
        # Without pool_block urllib3 opens any number of connections and only throws the surplus away afterwards.
        self._adapter = HTTPAdapter(pool_maxsize=MAX_CONNECTIONS, pool_block=True, max_retries=_retry())
        self._of_thread = threading.local()
        self._signing_in = threading.Lock()
        self._shared = _Shared(credentials.token if isinstance(credentials, TokenCredentials) else None)
        self._recorder: Recorder | None = None
        self.names = Names()

    @property
    def clock_ahead(self) -> timedelta | None:
        return self._shared.clock_ahead

    def recorded(self, recorder: Recorder) -> Self:
        """Return the same session, with the same token and connections; this recorder is told of its changes."""
        twin = copy.copy(self)
        twin._recorder, twin.names = recorder, Names()
        return twin

    def request(
        self, method: Method, path: str, *, params: Mapping[str, str | int] | None = None, body: object = None
    ) -> Answer:
        """Send one request and read the JSON of its answer; a token that has expired is renewed once.

        Args:
            path: what follows `/api`, with its leading slash.
            params: the query.
            body: what to send as JSON; None for no body.

        Raises:
            ServerError: one of its subclasses, see kraken_fleet.errors.
            FleetError: it would change something, and the recorder cannot record that.
        """
        if self._recorder is None:
            return self._answer(method, path, params, body)
        if method != "GET":
            return self._recorded(self._recorder, method, path, params, body)
        answer = self._answer(method, path, params, body)
        self.names.note(path, answer.body)
        return answer

    def _recorded(
        self, recorder: Recorder, method: Method, path: str, params: Mapping[str, str | int] | None, body: object
    ) -> Answer:
        recorder.check()
        change = in_words(method, path, body, self.names)
        try:
            answer = self._answer(method, path, params, body)
        except FleetError as error:
            recorder.record(dataclasses.replace(change, result=str(error)))
            raise
        self.names.note(path, answer.body)
        # Again: what was just made has a name only now. A group that was renamed is told of by the name that it had.
        recorder.record(change if path.startswith("/groups") else in_words(method, path, body, self.names))
        return answer

    def _answer(self, method: Method, path: str, params: Mapping[str, str | int] | None, body: object) -> Answer:
        token = self._current_token()
        try:
            return self._send(method, path, token, params=params, body=body)
        except NotSignedInError:
            if not isinstance(self._credentials, PasswordCredentials):
                raise
        return self._send(method, path, self._current_token(refused=token), params=params, body=body)

    def download(self, path: str) -> bytes:
        """Return a file that the server serves beside its API, without a token.

        Args:
            path: what takes the place of `/api`, like `/install/agent`.
        """
        url = self.address.api.removesuffix("/api") + path
        response = self._exchange("GET", url, None)
        raise_for_refusal(response, f"GET {url}")
        return response.content

    def close(self, *, for_good: bool = False) -> None:
        """End the session on the server that a password opened here, and close the connections.

        A token that somebody else got stays valid: it is theirs. A server that cannot be reached any more is not an
        error: what was to be done is done, and the session ends by itself some day. A later request signs in again;
        with `for_good` it is refused, as one on its way that would have to sign in again.
        """
        if isinstance(self._credentials, PasswordCredentials):
            with self._signing_in:
                self._shared.over = self._shared.over or for_good
                token, self._shared.token = self._shared.token, None
            if token:
                self._sign_out(token)
        self._adapter.close()

    def _sign_out(self, token: str) -> None:
        # Kraken's API wants the token in the path, so the error, which would show it, goes no further.
        with suppress(FleetError):
            self._exchange("DELETE", f"{self.address.api}/sessions/{token}", token, timeout=_SIGN_OUT_TIMEOUT)

    def _current_token(self, refused: str | None = None) -> str | None:
        """Return the token to use; sign in when there is none, or when the one there is has just been refused.

        Of several threads that were refused at the same time only the first signs in.
        """
        if not isinstance(self._credentials, PasswordCredentials):
            return self._shared.token
        with self._signing_in:
            if self._shared.over:
                raise NotSignedInError("The session was ended", hint="Sign in again")
            if self._shared.token is None or self._shared.token == refused:
                self._shared.token = None
                self._shared.token = self._sign_in(self._credentials)
            return self._shared.token

    def _sign_in(self, credentials: PasswordCredentials) -> str:
        try:
            answer = self._send(
                "POST", "/sessions", None, body={"user": credentials.user, "password": credentials.password}
            )
        except (NotSignedInError, RequestRejectedError) as error:
            raise _not_signed_in(credentials.user, error) from None  # the refusal may quote what was sent
        return answer.decoded(decode.token)

    def _send(self, method: Method, path: str, token: str | None, **content: Unpack[_Content]) -> Answer:
        url = self.address.api + path
        response = self._exchange(method, url, token, **content)
        return read_answer(response, f"{method} {url}")

    def _exchange(
        self,
        method: Method,
        url: str,
        token: str | None,
        *,
        params: Mapping[str, str | int] | None = None,
        body: object = None,
        timeout: tuple[float, float] | None = None,
    ) -> requests.Response:
        waits = timeout or self._timeout
        began = datetime.now(UTC)
        try:
            response = self._http.request(
                method,
                url,
                params=params,
                json=body,
                auth=_Bearer(token),
                timeout=waits,
                verify=self._verify,
                allow_redirects=False,  # a redirected POST becomes a GET, and the token would go wherever we are sent
            )
        except requests.RequestException as error:
            raise unreachable(error, f"{method} {url}", waits[1]) from error
        if (stated := _date(response)) is not None and (self._shared.clock_ahead is None or response.elapsed < _PROMPT):
            self._shared.clock_ahead = stated - began
        return response

    @property
    def _http(self) -> requests.Session:
        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = requests.Session()
            session.mount("http://", self._adapter)
            session.mount("https://", self._adapter)
            session.headers["User-Agent"] = f"kraken-fleet/{__version__}"
            # A proxy that the environment names cannot reach the loopback address of this machine.
            session.trust_env = not self.address.is_loopback
            self._of_thread.session = session
        return session


def _not_signed_in(user: str, error: NotSignedInError | RequestRejectedError) -> NotSignedInError:
    if isinstance(error, RequestRejectedError) and error.status == _TOO_MANY:
        message = f"The server lets {user!r} try no more passwords for now ({error.detail})"
        passing = NotSignedInError(message, where=error.where, hint="Wait that long; then check user and password")
        passing.for_now = True
        return passing
    message = f"The server knows no user {user!r} with this password"
    return NotSignedInError(message, where=error.where, hint="Check the user and the password")


class _Bearer(AuthBase):
    """Sets our token, or sees to it that none is set: without this, requests takes what it finds in ~/.netrc."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _date(response: requests.Response) -> datetime | None:
    """Say when the server says that it answered; None when it does not, or the text is no date."""
    try:
        return parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None


def _retry() -> Retry:
    return Retry(
        total=3,
        connect=2,
        read=1,
        status=2,
        redirect=0,
        other=0,
        allowed_methods=_REPEATABLE,
        status_forcelist=_PASSING_STATUSES,
        backoff_factor=0.2,
        backoff_jitter=0.2,
        backoff_max=3.0,
        respect_retry_after_header=False,  # it may ask for an hour
        raise_on_status=False,
    )
