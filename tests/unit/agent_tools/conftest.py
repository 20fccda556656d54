"""Real parts for the tools' tests: an S3 server on loopback, and git repositories."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kraken_agent.tools import object_store

from tests.s3_server import S3Server, s3_server
from tests.unique_names import unique_name


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(params=["package minio", "own client"])
def store_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test twice: with the package, and as on a host that does not have it."""
    monkeypatch.delenv("KRAKEN_MINIO_ADDR", raising=False)
    if request.param == "own client":
        monkeypatch.setattr(object_store, "_minio_package", lambda: None)
    return str(request.param)


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """An empty bucket."""
    name = unique_name("bucket")
    s3.client().make_bucket(name)
    return name


@pytest.fixture
def job_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job's directory, which is where tools run."""
    directory = tmp_path / "job"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


def git(directory: Path, *words: str) -> str:
    """Run git as a person would, with a fixed author."""
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com", "-c", "init.defaultBranch=master"]
    done = subprocess.run(["git", *identity, *words], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with `master`, a branch `stable`, a tag `v1`, and a bare copy of it as the remote."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init")
    (work / "a.txt").write_text("one\n")
    git(work, "add", ".")
    git(work, "commit", "-m", "one")
    git(work, "tag", "v1")
    git(work, "branch", "stable")
    (work / "a.txt").write_text("two\n")
    git(work, "commit", "-a", "-m", "two")
    git(tmp_path, "clone", "--bare", str(work), "project.git")
    git(work, "remote", "add", "origin", str(tmp_path / "project.git"))
    return work
