"""Secrets in a stream: hidden wherever the stream is cut, and nothing else is changed."""

from __future__ import annotations

import itertools
import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kraken_agent.tools.masking import MASK, Masker, secrets_of


def escaped(secret: str) -> str:
    """A secret as servers send it."""
    return secret.encode("unicode-escape").decode()


def through(secrets: list[str], *pieces: bytes) -> bytes:
    masker = Masker(secrets)
    return b"".join(masker.feed(piece) for piece in pieces) + masker.close()


@pytest.mark.parametrize(
    ("secrets", "text"),
    [
        (["secret"], b"a secret and sec and secret"),
        (["abcabd"], b"abcabcabd abcab"),
        (["aaaa"], b"aaaaaaaaab"),
        (["inner", "with inner part"], b"x with inner part y inner with inner"),
        (["endsin", "insane"], b"endsinsane endsin insane"),
        (["multi\nline secret\nof three"], b"so multi\nline secret\nof three it is"),
        (["żółw-żółw"], "to żółw-żółw i żółw".encode()),
    ],
)
def test_every_way_to_cut_gives_what_no_cut_gives(secrets: list[str], text: bytes) -> None:
    whole = through(secrets, text)
    assert not [secret for secret in secrets if secret.encode() in whole]
    for first, second in itertools.combinations(range(len(text) + 1), 2):
        assert through(secrets, text[:first], text[first:second], text[second:]) == whole


def test_text_without_secrets_is_passed_on_at_once() -> None:
    masker = Masker(["secret"])
    assert masker.feed(b"nothing special") == b"nothing special"
    assert masker.feed(b"perhaps a sec") == b"perhaps a "
    assert masker.feed(b"ond") == b"second"


def test_short_values_do_not_turn_text_into_asterisks() -> None:
    assert through(["a", "12", ""], b"a b 12") == b"a b 12"


def test_lines_of_a_key_are_hidden_one_by_one_too() -> None:
    key = "-----BEGIN KEY-----\nAAAABBBBCCCCDDDD\n-----END KEY-----"
    assert through([key], b"  AAAABBBBCCCCDDDD\n") == b"  " + MASK + b"\n"
    assert through([key], key.replace("\n", "\r\n").encode()) == MASK


def test_all_kinds_of_secrets_of_a_step_are_known() -> None:
    step = {
        "secrets": ["one", 2222],
        "access-token": "token",
        "minio_secret_key": "store",
        "ssh-key": {"username": "git", "key": "private\n"},
    }
    assert secrets_of(step) == ["one", "2222", "token", "store", "private"]
    assert secrets_of({"secrets": None, "ssh-key": "name"}) == []


# The mask is made of asterisks, so a secret of asterisks cannot be told from it.
SECRETS = st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=8, max_size=40)


@given(st.lists(SECRETS, min_size=1, max_size=4), st.data())
def test_no_text_that_leaves_contains_a_secret_however_it_is_cut(secrets: list[str], data: st.DataObject) -> None:
    pieces = st.one_of(st.sampled_from(secrets), st.text(max_size=10))
    text = "".join(data.draw(st.lists(pieces, max_size=8))).encode("utf-8", "replace")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    shown = through([escaped(secret) for secret in secrets], *parts)
    assert [secret for secret in secrets if secret.encode() in shown] == []
    assert shown == through([escaped(secret) for secret in secrets], text)


@given(SECRETS)
def test_a_secret_is_hidden_in_each_way_in_which_programs_print_it(secret: str) -> None:
    shown = [
        secret,
        repr(secret)[1:-1],
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        shlex.quote(secret),
    ]
    masked = Masker([escaped(secret)]).mask_text("\n".join(shown))
    assert [way for way in shown[:3] if way in masked] == []


@given(SECRETS, st.sampled_from(["msg", "test-results", "artifacts", "data"]))
def test_a_secret_in_a_message_of_a_tool_is_hidden_at_every_depth(secret: str, field: str) -> None:
    message = {"status": "in-progress", field: [{"test": secret, "values": {secret: {"value": f"<{secret}>"}}}]}
    masked = Masker([escaped(secret)]).mask_message(message)
    assert secret not in str(masked[field])
    assert masked["status"] == "in-progress"


def test_a_stream_of_nothing_but_overlapping_secrets_does_not_fill_the_memory() -> None:
    masker = Masker(["aaaa"])
    shown = b"".join(masker.feed(b"a" * 30_000) for _ in range(10))
    assert shown.count(MASK) >= 1
    assert b"aaaa" not in shown + masker.close()
