"""Versions of the agent on a host."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import binaries, installed
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import Change, HostError, apply_all
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.files import Attributes
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.release import Binary, Release

from kraken_fleet import bundle

OWNER = Attributes(0o755)


def release(version: str, kkagent: bytes = b"print()", *, self_checking: bool = False) -> Release:
    files = {"kkagent": kkagent, "kktool": b"tool " + version.encode()}
    found = [Binary(name, hashlib.sha256(content).hexdigest(), content) for name, content in files.items()]
    return Release(version, found, self_checking)


def deploy(directory: Path, wanted: Release, keep: int = 3) -> list[str]:
    (directory / "versions").mkdir(exist_ok=True)
    made = plan(directory, wanted, keep)
    apply_all(made)
    assert plan(directory, wanted, keep) == []
    return [change.what for change in made]


def plan(directory: Path, wanted: Release, keep: int) -> list[Change]:
    brought = binaries.converge(str(directory), wanted, OWNER, sys.executable)
    return [*brought, *binaries.surplus(str(directory), wanted.name, keep)]


def versions(directory: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in (directory / "versions").iterdir())


def test_a_release_is_installed_and_switched_to(tmp_path: Path) -> None:
    one = release("1.0")
    assert deploy(tmp_path, one) == [f"install version {one.name}", f"switch to version {one.name}"]
    assert (tmp_path / "current").readlink() == Path("versions") / one.name
    assert (tmp_path / "current" / "kkagent").stat().st_mode & 0o7777 == 0o755


def test_two_builds_that_call_themselves_the_same_are_two_releases() -> None:
    assert release("1.0", b"a").name != release("1.0", b"b").name
    assert release("1.0", b"a").name.startswith("1.0-")


def test_an_upgrade_says_from_which_version_to_which_and_going_back_too(tmp_path: Path) -> None:
    one, two = release("1.0"), release("2.0")
    deploy(tmp_path, one)
    assert deploy(tmp_path, two) == [f"install version {two.name}", f"switch from version {one.name} to {two.name}"]
    back = binaries.go_back(str(tmp_path), one.name, OWNER)
    assert [change.what for change in back] == [f"switch from version {two.name} to {one.name}"]


def test_old_releases_go_and_the_one_that_ran_last_stays(tmp_path: Path) -> None:
    for number in range(1, 5):
        deploy(tmp_path, release(f"{number}.0"), keep=2)
        os.utime(tmp_path / "current", (number, number))
    assert versions(tmp_path) == ["3.0", "4.0"]
    deploy(tmp_path, release("1.0"), keep=2)
    assert versions(tmp_path) == ["1.0", "4.0"]
    deploy(tmp_path, release("1.0"), keep=1)
    assert versions(tmp_path) == ["1.0"]


def test_a_release_that_was_damaged_on_the_host_is_mended(tmp_path: Path) -> None:
    one = release("1.0")
    deploy(tmp_path, one)
    (tmp_path / "current" / "kktool").write_bytes(b"dama")
    assert deploy(tmp_path, one) == [f"install version {one.name}"]
    assert (tmp_path / "current" / "kktool").read_bytes() == b"tool 1.0"
    assert versions(tmp_path) == ["1.0"]


def test_a_damaged_file_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    deploy(tmp_path, release("1.0"))
    bad = Release("2.0", [Binary("kkagent", "0" * 64, b"x")])
    with pytest.raises(HostError, match=r"kkagent is damaged: its sha256 is .* expected 000"):
        binaries.checked(bad, [])
    with pytest.raises(HostError):
        apply_all(plan(tmp_path, bad, 3))
    assert versions(tmp_path) == ["1.0"]
    assert str((tmp_path / "current").readlink()).startswith("versions/1.0-")


def test_an_agent_that_this_python_cannot_run_is_not_switched_to(tmp_path: Path) -> None:
    deploy(tmp_path, release("1.0"))
    broken = release("2.0", b"raise SystemExit('no such feature here')", self_checking=True)
    with pytest.raises(HostError, match="no such feature here"):
        apply_all(plan(tmp_path, broken, 3))
    assert versions(tmp_path) == ["1.0"]


def test_what_a_run_that_was_cut_off_has_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / "versions" / ".new-xyz").mkdir(parents=True)
    deploy(tmp_path, release("1.0"))
    assert versions(tmp_path) == ["1.0"]


def test_a_host_downloads_what_it_lacks_and_only_that(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    wanted = release("1.0")
    for binary in wanted.binaries:
        (source / binary.name).write_bytes(binary.content or b"")
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(source)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    remote = wanted._replace(binaries=[one._replace(content=None, url=f"{url}/{one.name}") for one in wanted.binaries])
    home = tmp_path / "home"
    home.mkdir()
    deploy(home, remote)
    deploy(home, remote)
    server.shutdown()
    server.server_close()
    assert asked == ["/kkagent", "/kktool"]
    assert (home / "current" / "kktool").read_bytes() == b"tool 1.0"
    gone = release("2.0", b"new")
    lost = gone._replace(binaries=[one._replace(content=None, url=f"{url}/{one.name}") for one in gone.binaries])
    with pytest.raises(HostError, match=r"http://127.0.0.1:\d+/kkagent cannot be downloaded: .*refused"):
        deploy(home, lost)


def test_a_host_goes_back_to_a_release_that_it_still_has(tmp_path: Path) -> None:
    one, two = release("1.0"), release("2.0")
    deploy(tmp_path, one)
    deploy(tmp_path, two)
    apply_all(binaries.go_back(str(tmp_path), one.name, OWNER))
    assert installed.installed(str(tmp_path)) == one.name
    assert list(binaries.go_back(str(tmp_path), one.name, OWNER)) == []
    assert versions(tmp_path) == ["1.0", "2.0"]
    with pytest.raises(HostError, match=f"has no release 3.0-x; it has {one.name}, {two.name}"):
        list(binaries.go_back(str(tmp_path), "3.0-x", OWNER))
    assert installed.installed(str(tmp_path)) == one.name


def test_an_own_release_is_told_from_another_agents(tmp_path: Path) -> None:
    bundle.build(tmp_path / "versions" / "ours")
    (tmp_path / "versions" / "theirs").mkdir()
    (tmp_path / "versions" / "theirs" / "kkagent").write_text("print()")
    assert [installed.is_own(str(tmp_path), name) for name in ("ours", "theirs", "none")] == [True, False, False]


def test_a_link_that_changes_hands_stays_with_the_release_that_was_switched_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "current"
    link.symlink_to("versions/old")
    monkeypatch.setattr(binaries, "owned_as", lambda *_arguments: False)
    (change,) = binaries.owners(str(tmp_path), Attributes(0o755, tmp_path.owner(), tmp_path.group()))
    link.unlink()
    link.symlink_to("versions/new")
    change.apply()
    assert link.readlink() == Path("versions/new")


def test_a_release_that_was_removed_meanwhile_needs_no_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = tmp_path / "versions" / "1"
    release.mkdir(parents=True)
    monkeypatch.setattr(binaries, "owned_as", lambda *_arguments: False)
    changes = list(binaries.owners(str(tmp_path), Attributes(0o755, tmp_path.owner(), tmp_path.group())))
    release.rmdir()
    apply_all(changes)
    assert len(changes) == 1
