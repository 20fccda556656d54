"""Sessions end, and each has its own words."""

from __future__ import annotations

from kraken_fleet.api import KrakenClient, TokenCredentials
from kraken_fleet.web.sessions import PersonsClient, Session, SessionStore
from tests.fake_clock import FakeClock


def a_session() -> Session:
    return Session("ann", KrakenClient("http://127.0.0.1:1", TokenCredentials("t0ken-word")))


def test_a_session_lives_while_it_is_used_and_then_ends() -> None:
    clock = FakeClock()
    store = SessionStore(lifetime=100, clock=clock.now)
    key = store.add(a_session())
    for clock.time in (90, 180, 270):
        assert store.get(key) is not None
    clock.time = 371
    assert store.get(key) is None


def test_signing_out_ends_it_at_once_and_an_unknown_word_is_nobody() -> None:
    store = SessionStore(lifetime=100)
    key = store.add(a_session())
    store.remove(key)
    assert store.get(key) is None
    assert store.get("") is None


def test_words_differ_and_are_long() -> None:
    store = SessionStore(lifetime=100)
    keys = {store.add(a_session()) for _ in range(20)}
    assert len(keys) == 20
    assert all(len(key) >= 43 for key in keys)


def test_only_its_own_csrf_word_is_accepted() -> None:
    ann, bob = a_session(), a_session()
    assert ann.accepts(ann.csrf)
    assert not ann.accepts(bob.csrf)
    assert not ann.accepts("")


def test_neither_token_nor_csrf_word_is_in_the_repr() -> None:
    session = a_session()
    assert "t0ken-word" not in repr(session)
    assert session.csrf not in repr(session)


def test_a_notice_is_shown_once() -> None:
    session = a_session()
    session.notice = "done"
    assert [session.take_notice(), session.take_notice()] == ["done", ""]


class _Person(PersonsClient):
    """Counts how often it is closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_a_session_ends_after_the_work_that_needs_it() -> None:
    client = _Person("http://127.0.0.1:1", TokenCredentials("t0ken-word"))
    session, store = Session("ann", client, client), SessionStore(lifetime=100)
    key = store.add(session)
    with session.at_work(), session.at_work():
        store.remove(key)
        assert not store.holds(session)
        assert client.closed == 0
    assert client.closed == 1


def test_a_console_that_stops_waits_for_no_work() -> None:
    client = _Person("http://127.0.0.1:1", TokenCredentials("t0ken-word"))
    session, store = Session("ann", client, client), SessionStore(lifetime=100)
    store.add(session)
    with session.at_work():
        store.clear()
        assert client.closed == 1


def test_a_session_whose_time_is_over_is_held_no_more_and_ends() -> None:
    clock = FakeClock()
    client = _Person("http://127.0.0.1:1", TokenCredentials("t0ken-word"))
    session, store = Session("ann", client, client), SessionStore(lifetime=100, clock=clock.now)
    store.add(session)
    clock.time = 90
    assert store.holds(session)
    clock.time = 101
    assert not store.holds(session)
    assert client.closed == 1
