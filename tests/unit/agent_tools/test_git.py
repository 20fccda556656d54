"""The tool git against real repositories: over files, http with a token, ssh with a key, through the bundle cache."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from kraken_agent.tools import git as git_tool
from kraken_agent.tools.git_access import GitAccess, token_in_url, web_url
from kraken_agent.tools.masking import Masker

from tests.git_servers import http_git, ssh_git
from tests.s3_server import S3Server

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.unit.agent_tools.conftest import git

TOKEN = "very-secret-token"


def origin(repository: Path) -> str:
    return str(repository.parent / "project.git")


def test_a_clone_gets_the_name_of_the_repository_and_its_master(repository: Path, job_dir: Path) -> None:
    assert git_tool.run({"checkout": origin(repository)}) == (0, "")
    assert (job_dir / "project" / "a.txt").read_text() == "two\n"


def test_destination_and_branch_are_honoured(repository: Path, job_dir: Path) -> None:
    assert git_tool.run({"checkout": origin(repository), "destination": "src/x", "branch": "stable"}) == (0, "")
    assert (job_dir / "src/x/a.txt").read_text() == "one\n"
    assert git(job_dir / "src/x", "status", "--short", "--branch") == "## stable...origin/stable"


@pytest.mark.parametrize("kind", ["tag", "commit"])
def test_a_tag_or_a_commit_can_be_named_as_the_branch(repository: Path, job_dir: Path, kind: str) -> None:
    name = "v1" if kind == "tag" else git(repository, "rev-parse", "stable")
    assert git_tool.run({"checkout": origin(repository), "branch": name}) == (0, "")
    assert (job_dir / "project" / "a.txt").read_text() == "one\n"


def test_a_repository_without_master_is_checked_out_at_its_own_default(repository: Path, job_dir: Path) -> None:
    git(repository.parent / "project.git", "branch", "-m", "master", "main")
    assert git_tool.run({"checkout": origin(repository)}) == (0, "")
    assert git(job_dir / "project", "rev-parse", "--abbrev-ref", "HEAD") == "main"


def test_an_unknown_branch_is_an_error_that_names_it(repository: Path, job_dir: Path) -> None:
    code, message = git_tool.run({"checkout": origin(repository), "branch": "nowhere"})
    assert code == 1
    assert "'nowhere'" in message


def test_the_commit_of_the_trigger_wins_over_the_branch(repository: Path, job_dir: Path) -> None:
    first = git(repository, "rev-parse", "stable")
    step = {
        "checkout": origin(repository),
        "branch": "master",
        "http_url": "https://h/p",
        "trigger_data": [{"repo": "https://h/p", "after": first}],
    }
    assert git_tool.run(step) == (0, "")
    assert git(job_dir / "project", "rev-parse", "HEAD") == first


def test_the_trigger_of_another_repository_is_of_no_interest(repository: Path) -> None:
    step = {"http_url": "https://h/p", "trigger_data": [{"repo": "https://h/other", "after": "abc"}]}
    assert git_tool.triggered_commit(step) is None


def test_a_commit_on_no_branch_is_fetched_by_its_name(repository: Path, job_dir: Path) -> None:
    git(repository, "commit", "--allow-empty", "-m", "of a pull request")
    commit = git(repository, "rev-parse", "HEAD")
    git(repository, "push", "origin", "HEAD:refs/pull/1/head")
    git(repository.parent / "project.git", "config", "uploadpack.allowAnySHA1InWant", "true")
    step = {
        "checkout": origin(repository),
        "http_url": "x",
        "trigger_data": [{"repo": "x", "after": commit}],
    }
    assert git_tool.run(step) == (0, "")
    assert git(job_dir / "project", "rev-parse", "HEAD") == commit


def test_a_repository_that_does_not_exist_gives_gits_exit_code(
    job_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, message = git_tool.run({"checkout": "/no/such/repository"})
    assert code == 128
    assert "git clone" in message
    assert "does not exist" in capsys.readouterr().out


def test_what_looks_like_an_option_is_refused(job_dir: Path) -> None:
    assert git_tool.run({"checkout": "--upload-pack=touch x"})[0] == 1
    assert list(job_dir.iterdir()) == []


def test_settings_are_kept_in_the_new_repository(repository: Path, job_dir: Path) -> None:
    git_tool.run({"checkout": origin(repository), "git_cfg": {"core.autocrlf": "input"}})
    assert git(job_dir / "project", "config", "core.autocrlf") == "input"


def test_a_setting_with_a_secret_works_but_is_neither_in_arguments_nor_kept(
    repository: Path, job_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step: dict[str, Any] = {
        "checkout": origin(repository),
        "git_cfg": {"http.https://h/.extraheader": f"Authorization: Bearer {TOKEN}"},
        "secrets": [TOKEN],
    }
    with GitAccess(step["checkout"], step) as access:
        assert access.public_settings() == []
        shown = subprocess.run(
            ["git", *access.options(), "config", "http.https://h/.extraheader"], capture_output=True, text=True
        )
        assert shown.stdout == f"Authorization: Bearer {TOKEN}\n"
    assert git_tool.run(step) == (0, "")
    assert TOKEN not in (job_dir / "project/.git/config").read_text()
    assert TOKEN not in capsys.readouterr().out


def test_a_token_opens_an_http_repository_and_is_left_nowhere(
    repository: Path, job_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = _recorded_arguments(monkeypatch)
    with http_git(repository.parent, TOKEN) as server:
        step = {"checkout": f"{server.url}/project.git", "access-token": TOKEN, "secrets": [TOKEN]}
        assert git_tool.run(step) == (0, "")
    assert (job_dir / "project/a.txt").read_text() == "two\n"
    assert ("x-access-token", TOKEN) in server.logins
    _assert_left_nowhere(TOKEN, job_dir, capsys.readouterr().out, arguments)


def test_a_token_written_into_the_url_is_taken_out_of_it(
    repository: Path, job_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = _recorded_arguments(monkeypatch)
    with http_git(repository.parent, TOKEN) as server:
        url = server.url.replace("http://", f"http://me:{TOKEN}@")
        assert git_tool.run({"checkout": f"{url}/project.git"}) == (0, "")
    assert ("me", TOKEN) in server.logins
    _assert_left_nowhere(TOKEN, job_dir, capsys.readouterr().out, arguments)


def test_a_wrong_token_fails_at_once_instead_of_asking_a_person(repository: Path, job_dir: Path) -> None:
    with http_git(repository.parent, TOKEN) as server:
        code, _ = git_tool.run({"checkout": f"{server.url}/project.git", "access-token": "wrong-token"})
    assert code == 128
    assert not (job_dir / "project").exists()


def test_a_key_opens_an_ssh_repository_and_is_gone_afterwards(
    repository: Path, job_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("GIT_SSH_COMMAND", f"ssh -F none -o UserKnownHostsFile={tmp_path / 'known_hosts'}")
    with ssh_git(tmp_path) as server:
        step = {
            "checkout": f"ssh://127.0.0.1:{server.port}{origin(repository)}",
            "ssh-key": {"username": server.user, "key": server.key.replace("\n", "\r\n")},
        }
        assert git_tool.run(step) == (0, "")
    assert (job_dir / "project/a.txt").read_text() == "two\n"
    assert list(scratch.iterdir()) == []


def test_files_with_secrets_are_for_this_user_only(job_dir: Path) -> None:
    with GitAccess("https://h/p", {"access-token": TOKEN}) as access:
        directory = Path(access.environment()["GIT_ASKPASS"]).parent
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert modes == {"config": 0o600, "token": 0o600, "askpass": 0o700}
        assert TOKEN not in str(access.options()) + access.url
        assert TOKEN not in str({k: v for k, v in access.environment().items() if k not in os.environ})
    assert not directory.exists()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("git@github.com:owner/repo.git", ("https://github.com/owner/repo.git", "x-access-token")),
        ("ssh://git@gitlab.example.com:2222/o/r.git", ("https://gitlab.example.com/o/r.git", "oauth2")),
        ("https://bitbucket.org/o/r", ("https://bitbucket.org/o/r", "x-token-auth")),
        ("https://bot:pw@host:8443/o/r?x=1", ("https://host:8443/o/r?x=1", "bot")),
        ("/srv/git/r.git", ("/srv/git/r.git", "x-access-token")),
    ],
)
def test_urls_for_tokens(url: str, expected: object) -> None:
    assert web_url(url) == expected


def test_a_user_name_in_a_url_is_a_token_only_when_it_is_a_known_secret() -> None:
    assert token_in_url(f"https://{TOKEN}@h/p", Masker([TOKEN])) == TOKEN
    assert token_in_url("https://git@h/p", Masker([TOKEN])) == ""


def test_the_second_clone_comes_from_the_bundle_and_has_what_is_new(
    repository: Path, job_dir: Path, s3: S3Server, bucket: str, store_kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    step = {"checkout": origin(repository), "minio_folder": "repo", **s3.step_fields(bucket)}
    assert git_tool.run({**step, "destination": "first"}) == (0, "")
    stored = [entry.name for entry in s3.client().list_objects(bucket, "")]
    assert stored == ["repo/repo.bundle"]

    (repository / "a.txt").write_text("three\n")
    git(repository, "commit", "-a", "-m", "three")
    git(repository, "push", "origin", "master")
    capsys.readouterr()
    assert git_tool.run({**step, "destination": "second"}) == (0, "")
    assert (job_dir / "second/a.txt").read_text() == "three\n"
    assert git(job_dir / "second", "remote", "get-url", "origin") == origin(repository)
    assert "bundle create" in capsys.readouterr().out

    assert git_tool.run({**step, "destination": "third", "branch": "v1"}) == (0, "")
    assert (job_dir / "third/a.txt").read_text() == "one\n"
    assert "bundle create" not in capsys.readouterr().out


def test_upstreams_way_of_using_the_bundle_works_on_ours(
    repository: Path, job_dir: Path, s3: S3Server, bucket: str
) -> None:
    git_tool.run({"checkout": origin(repository), "minio_folder": "repo", **s3.step_fields(bucket)})
    s3.client().get_file(bucket, "repo/repo.bundle", job_dir / "b")
    git(job_dir, "clone", "b", "again")
    git(job_dir / "again", "remote", "set-url", "origin", origin(repository))
    git(job_dir / "again", "pull", "--ff-only")
    assert (job_dir / "again/a.txt").read_text() == "two\n"


def test_a_damaged_bundle_costs_only_the_shortcut(repository: Path, job_dir: Path, s3: S3Server, bucket: str) -> None:
    (job_dir / "junk").write_text("not a bundle")
    s3.client().put_file(bucket, "repo/repo.bundle", job_dir / "junk")
    step = {"checkout": origin(repository), "minio_folder": "repo", **s3.step_fields(bucket)}
    assert git_tool.run(step) == (0, "")
    assert (job_dir / "project/a.txt").read_text() == "two\n"


def test_a_store_that_is_away_costs_only_the_shortcut(
    repository: Path, job_dir: Path, store_kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {"minio_addr": "127.0.0.1:1", "minio_bucket": "b", "minio_folder": "f"}
    step = {"checkout": origin(repository), "minio_access_key": "access", "minio_secret_key": "secret", **fields}
    assert git_tool.run(step) == (0, "")
    assert "repository cache is not used" in capsys.readouterr().out


def _recorded_arguments(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Every command line that is started from now on."""
    seen: list[list[str]] = []
    real = subprocess.Popen

    class Recording(real):  # type: ignore[misc,valid-type]
        def __init__(self, args: Any, **options: Any) -> None:
            seen.append(list(args))
            super().__init__(args, **options)

    monkeypatch.setattr(subprocess, "Popen", Recording)
    return seen


def _assert_left_nowhere(secret: str, job_dir: Path, log: str, arguments: list[list[str]]) -> None:
    assert secret not in log
    assert arguments
    assert not any(secret in word for command in arguments for word in command)
    for path in job_dir.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
