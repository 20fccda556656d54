"""Images are pulled through the engine itself, with the account that `docker login` has stored."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kraken_agent.executors.docker.engine import EngineError
from kraken_agent.executors.docker.pull import pull, registry_of


class Engine:
    def __init__(self, *events: dict[str, Any]) -> None:
        self._events = events
        self.asked: dict[str, list[str]] = {}
        self.headers: dict[str, str] = {}

    def events(self, path: str, headers: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        self.asked, self.headers = parse_qs(urlsplit(path).query), dict(headers)
        yield from self._events


def pulled(engine: Engine, image: str) -> list[str]:
    lines: list[str] = []
    pull(engine, image, lines.append)  # type: ignore[arg-type]
    return lines


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        ("debian", {"fromImage": ["debian"], "tag": ["latest"]}),
        ("debian:12", {"fromImage": ["debian"], "tag": ["12"]}),
        ("reg.example:5000/a/b", {"fromImage": ["reg.example:5000/a/b"], "tag": ["latest"]}),
        ("reg.example:5000/a/b:1", {"fromImage": ["reg.example:5000/a/b"], "tag": ["1"]}),
        ("a@sha256:00", {"fromImage": ["a@sha256:00"]}),
    ],
)
def test_one_image_is_asked_for_and_never_all_tags(image: str, asked: dict[str, list[str]]) -> None:
    engine = Engine()
    pulled(engine, image)
    assert engine.asked == asked


def test_steps_are_lines_of_the_log_and_progress_bars_are_not() -> None:
    events = ({"status": "Pulling", "id": "l1"}, {"status": "Downloading", "progress": "[=>"}, {"status": "Done"})
    assert pulled(Engine(*events), "debian") == ["pulling image debian", "l1 Pulling", "Done"]


def test_why_an_image_cannot_be_had_is_said_with_its_name() -> None:
    with pytest.raises(EngineError, match="image no/such cannot be pulled: denied"):
        pulled(Engine({"error": "denied"}), "no/such")


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("debian:12", "https://index.docker.io/v1/"),
        ("library/debian", "https://index.docker.io/v1/"),
        ("docker.io/library/debian", "https://index.docker.io/v1/"),
        ("ghcr.io/a/b", "ghcr.io"),
        ("localhost/a", "localhost"),
        ("reg:5000/a", "reg:5000"),
    ],
)
def test_registry(image: str, registry: str) -> None:
    assert registry_of(image) == registry


def sent_account(engine: Engine) -> Any:
    return json.loads(base64.urlsafe_b64decode(engine.headers["X-Registry-Auth"]))


def test_a_stored_account_goes_along_to_its_own_registry_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    auth = base64.b64encode(b"user:pass:word").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"ghcr.io": {"auth": auth}}}))
    engine = Engine()
    pulled(engine, "ghcr.io/a/b")
    assert sent_account(engine) == {"username": "user", "password": "pass:word", "serveraddress": "ghcr.io"}
    pulled(engine, "debian")
    assert engine.headers == {}


def test_the_program_that_keeps_accounts_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text('{"credsStore": "safe"}')
    helper = tmp_path / "docker-credential-safe"
    helper.write_text(
        '#!/bin/sh\nread registry\necho "{\\"Username\\": \\"<token>\\", \\"Secret\\": \\"for $registry\\"}"\n'
    )
    helper.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    engine = Engine()
    pulled(engine, "ghcr.io/a/b")
    assert sent_account(engine) == {"identitytoken": "for ghcr.io", "serveraddress": "ghcr.io"}


@pytest.mark.parametrize("text", ["", "[]", "no json", '{"auths": []}', '{"auths": {"ghcr.io": {"auth": "%%%"}}}'])
def test_an_account_that_cannot_be_read_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(text)
    engine = Engine()
    pulled(engine, "ghcr.io/a/b")
    assert engine.headers == {}
