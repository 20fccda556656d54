"""Somebody on the way to the server offers an agent of his own, or an old one with a known hole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.unit.agent.conftest import PYTHON, RunningAgent
from tests.unit.agent.fake_server import FakeServer
from tests.unit.agent.releases import own_release

Until = Callable[..., None]
Follow = Callable[..., RunningAgent]


@pytest.fixture
def forged(tmp_path: Path) -> dict[str, bytes]:
    """Files that leave a mark as soon as anybody runs them."""
    text = f"#!/usr/bin/env python3\nopen({str(tmp_path / 'mark')!r}, 'w').close()\n"
    return {"/install/agent": text.encode(), "/install/tool": text.encode()}


@pytest.fixture
def follow(start_agent: Callable[..., RunningAgent], tmp_path: Path) -> Follow:
    """Start an agent of version 2 that follows its server."""
    place = tmp_path / "opt/versions/2-own"
    place.mkdir(parents=True)
    for path, content in own_release(tmp_path, "2").items():
        (place / f"kk{Path(path).name}").write_bytes(content)
    (tmp_path / "opt/current").symlink_to("versions/2-own")

    def start(**variables: str) -> RunningAgent:
        argv = [PYTHON, str(tmp_path / "opt/current/kkagent")]
        return start_agent(argv=argv, PYTHONPATH="", KRAKEN_AGENT_UPDATE="server", **variables)

    return start


def sums(files: dict[str, bytes]) -> Sequence[str]:
    return [hashlib.sha256(content).hexdigest() for content in files.values()]


def nothing_was_run(agent: RunningAgent, server: FakeServer, until: Until, tmp_path: Path, why: str) -> None:
    until(lambda: why in agent.said())
    asked = len(server.said("get-job"))
    until(lambda: len(server.said("get-job")) > asked + 1)
    assert agent.said().count("no update to") == 1
    assert not (tmp_path / "mark").exists()
    assert str((tmp_path / "opt/current").readlink()) == "versions/2-own"
    assert [path.name for path in (tmp_path / "opt/versions").iterdir()] == ["2-own"]


def test_over_http(server: FakeServer, follow: Follow, until: Until, forged: dict[str, bytes], tmp_path: Path) -> None:
    server.version, server.files = "9", forged
    nothing_was_run(follow(), server, until, tmp_path, "is not reached over https")


def test_in_place_of_the_files_that_the_provisioner_vouches_for(
    server: FakeServer, follow: Follow, until: Until, forged: dict[str, bytes], tmp_path: Path
) -> None:
    server.version, server.files = "9", forged
    wanted = ",".join(sums({"agent": b"one", "tool": b"two"}))
    agent = follow(KRAKEN_AGENT_UPDATE_SHA256=wanted)
    nothing_was_run(agent, server, until, tmp_path, "does not name the server's kkagent")


def test_with_an_older_version(server: FakeServer, follow: Follow, until: Until, tmp_path: Path) -> None:
    server.version, server.files = "1.99.9", own_release(tmp_path, "1.99.9")
    agent = follow(KRAKEN_AGENT_UPDATE_SHA256=" ".join(sums(server.files)))
    nothing_was_run(agent, server, until, tmp_path, "it is older than this agent, 2")


def test_an_older_version_is_taken_by_whoever_asked_for_it(
    server: FakeServer, follow: Follow, until: Until, tmp_path: Path
) -> None:
    server.version, server.files = "1.99.9", own_release(tmp_path, "1.99.9")
    agent = follow(KRAKEN_AGENT_UPDATE_SHA256=" ".join(sums(server.files)), KRAKEN_AGENT_UPDATE_OLDER="yes")
    until(lambda: "agent 1.99.9 for" in agent.said())
