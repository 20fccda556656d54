"""Secrets in a stream: hidden wherever the stream is cut, and nothing else is changed."""

from __future__ import annotations

import itertools

import pytest
from kraken_agent.masking import MASK, Masker, secret_values


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
    assert secret_values(step) == ["one", "2222", "token", "store", "private"]
    assert secret_values({"secrets": None, "ssh-key": "name"}) == []
