"""Real web hooks and mail servers get the messages; what is secret in their URLs stays so."""

from __future__ import annotations

import logging

import pytest

from kraken_fleet.errors import NotSentError, UsageError
from kraken_fleet.watch.message import Message
from kraken_fleet.watch.receivers import GivenUrl, has_secret, receivers_of
from tests.message_receivers import mail_server, web_hook

MESSAGE = Message("2 problems", "Silent agents:\n- build-1: <b>it is silent</b>.", "error")


def test_a_web_hook_gets_title_text_and_severity() -> None:
    with web_hook() as hook:
        (receiver,) = receivers_of([GivenUrl("--notify 1", hook.url("anna:s3cret@"))] * 2)
        receiver.send(MESSAGE)
    (got,) = hook.messages
    assert (got["title"], got["message"], got["type"]) == (MESSAGE.title, MESSAGE.body, "failure")
    assert hook.authorizations == ["Basic YW5uYTpzM2NyZXQ="]


def test_a_mail_arrives_and_its_text_is_text() -> None:
    with mail_server("anna", "s3cret") as (port, mails):
        url = f"mailto://anna:s3cret@127.0.0.1:{port}/?smtp=127.0.0.1&from=fleet@k.test&to=ops@k.test&mode=insecure"
        (receiver,) = receivers_of([GivenUrl("urls:1", url)])
        receiver.send(MESSAGE)
    (mail,) = mails
    assert mail["Subject"] == MESSAGE.title
    assert mail["To"] == "ops@k.test"
    texts = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
    assert any("&lt;b&gt;it is silent&lt;/b&gt;" in text or "<b>it is silent</b>" in text for text in texts)
    assert not any(
        "<b>it is silent" in part.get_content() for part in mail.walk() if part.get_content_subtype() == "html"
    )


@pytest.mark.parametrize("status", [500, 403])
def test_what_is_not_taken_is_an_error_without_the_secrets(
    status: int, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with web_hook() as hook:
        hook.status = status
        url = hook.url("anna:s3cret-word@", path="token-in-the-path?X=y")
        (receiver,) = receivers_of([GivenUrl("urls:3", url)])
        with pytest.raises(NotSentError, match=r"JSON \(urls:3\)") as caught:
            receiver.send(MESSAGE)
    said = str(caught.value) + capfd.readouterr().err + repr(receiver.label) + receiver.identity
    assert str(status) in caught.value.message
    assert "s3cret-word" not in said
    assert "token-in-the-path" not in said
    assert hook.messages == []


def test_nobody_there_is_an_error_too() -> None:
    (receiver,) = receivers_of([GivenUrl("--notify 1", "json://127.0.0.1:1/hook")])
    with pytest.raises(NotSentError, match="onnection"):
        receiver.send(MESSAGE)


def test_a_url_that_is_not_understood_is_named_by_its_place_only(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="urls:7") as caught:
        receivers_of([GivenUrl("urls:7", "slack://A/secret-word")])
    assert "secret-word" not in str(caught.value) + capfd.readouterr().err


def test_a_url_with_an_account_or_a_token_may_hold_a_secret() -> None:
    assert not has_secret("json://hooks.example/fleet")
    assert has_secret("json://anna:x@hooks.example/fleet")
    assert has_secret("slack://TokenA/TokenB/TokenC")
