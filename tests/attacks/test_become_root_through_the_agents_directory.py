"""The agent's account is hostile, and owns or owned a directory that root deploys into: what does root touch there?"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import converge, files, installed, opening, process
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError, apply_all, as_result
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.files import Attributes
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.release import Binary, Release
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec import AgentSpec
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.users import primary_group

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand files to another account")

THIEF = "nobody"
PYTHON = "/usr/bin/python3"  # one that every account can run
SECRET = "content-that-only-root-may-read"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text(SECRET)
    path.chmod(0o600)
    return path


@pytest.fixture
def home() -> Iterator[Path]:
    """Not below pytest's directories: they are closed to other accounts, and there are more of them with xdist."""
    with tempfile.TemporaryDirectory(prefix="kraken-fleet-") as above:
        Path(above).chmod(0o755)
        path = Path(above) / "kraken"
        path.mkdir()
        yield path
        process.stop(str(path), 0)


def release(text: str = "print('kkagent')") -> Release:
    content = text.encode()
    return Release("1.0", [Binary("kkagent", hashlib.sha256(content).hexdigest(), content)])


def agent(home: Path, **more: Any) -> AgentSpec:
    given: dict[str, Any] = {"manager": "process", "service_state": "stopped", "attested": True, **more}
    environment = {"KRAKEN_SERVER_ADDR": "http://127.0.0.1:9"}
    return AgentSpec("", str(home), "kraken-agent", THIEF, primary_group(THIEF, THIEF), PYTHON, environment, **given)


def deploy(spec: AgentSpec, wanted: Release | None = None) -> str:
    """All that a deploy shows of its changes, once it has made them."""
    changes = converge.present([spec], wanted or release(), root=os.geteuid() == 0)
    apply_all(changes)
    return str(as_result(changes))


@contextlib.contextmanager
def as_thief() -> Iterator[None]:
    entry = pwd.getpwnam(THIEF)
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def is_thiefs(path: Path) -> bool:
    return path.lstat().st_uid == pwd.getpwnam(THIEF).pw_uid


@pytest.mark.parametrize("name", ["kraken.env", "nonce"])
def test_read_or_chmod_a_file_of_roots_through_a_link(name: str, home: Path, victim: Path) -> None:
    (home / name).symlink_to(victim)
    path = str(home / name)
    changes = list(files.text_file(path, "A=b\n", Attributes(0o640)))
    assert SECRET not in str(as_result(changes))
    with pytest.raises(HostError, match="neither a file nor a directory"):
        files.set_attributes(path, Attributes(0o666))
    apply_all(changes)
    assert (victim.read_text(), stat.S_IMODE(victim.stat().st_mode)) == (SECRET, 0o600)
    assert not (home / name).is_symlink()
    assert (home / name).read_text() == "A=b\n"


def test_read_or_chmod_a_file_of_roots_through_a_second_name(home: Path, victim: Path) -> None:
    path = home / "kraken.env"
    path.hardlink_to(victim)
    assert SECRET not in str(as_result(list(files.text_file(str(path), "A=b\n", Attributes(0o640)))))
    with pytest.raises(HostError, match="no file of its own"):
        files.set_attributes(str(path), Attributes(0o666))
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600


def test_hold_a_deploy_up_with_a_pipe(home: Path) -> None:
    os.mkfifo(home / "kraken.env")
    assert files.read_text(str(home / "kraken.env")) is None
    (change,) = files.text_file(str(home / "kraken.env"), "A=b\n", Attributes(0o640))
    apply_all([change])
    assert (home / "kraken.env").read_text() == "A=b\n"


def test_fill_the_memory_of_a_deploy_with_a_huge_file(home: Path) -> None:
    with (home / "kraken.env").open("wb") as file:
        file.truncate(opening.MOST_TEXT + 1)
    assert files.read_text(str(home / "kraken.env")) is None


def test_have_root_write_where_a_name_can_be_guessed(home: Path, victim: Path) -> None:
    """The new file beside the old one has a name that nobody knows before, and is made anew."""
    for name in ("kraken.env.new", ".kraken.env", "agent.pid.new"):
        (home / name).symlink_to(victim)
    files.write_file(str(home / "kraken.env"), b"A=b\n", Attributes(0o640))
    assert victim.read_text() == SECRET


def test_have_root_remove_what_is_elsewhere(home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "mysql"
    elsewhere.mkdir(parents=True)
    (elsewhere / "table").touch()
    (home / "data").mkdir()
    (home / "data" / "way-out").symlink_to(elsewhere)
    (home / "versions").symlink_to(elsewhere.parent)
    opening.remove(str(home / "data"))
    opening.remove(str(home / "versions"))
    assert (elsewhere / "table").exists()
    assert list(home.iterdir()) == []


@as_root
def test_lead_root_away_on_the_path_to_a_file(home: Path, victim: Path) -> None:
    (home / "versions").symlink_to(victim.parent)
    os.lchown(home / "versions", pwd.getpwnam(THIEF).pw_uid, -1)
    path = str(home / "versions" / "victim")
    with pytest.raises(HostError, match="which another account could have made"):
        opening.remove(path)
    with pytest.raises(HostError, match="which another account could have made"):
        files.write_file(path, b"x", Attributes(0o644))
    with pytest.raises(HostError, match="which another account could have made"):
        files.read_text(path)
    assert victim.read_text() == SECRET


@as_root
def test_a_link_that_root_made_is_gone_through(tmp_path: Path) -> None:
    """As with /opt on systems that keep it in /var."""
    (tmp_path / "var" / "opt").mkdir(parents=True)
    (tmp_path / "opt").symlink_to("var/opt")
    files.write_file(str(tmp_path / "opt" / "x"), b"x", Attributes(0o644))
    assert (tmp_path / "var" / "opt" / "x").read_bytes() == b"x"


@as_root
@pytest.mark.parametrize("update", ["managed", "server"])
def test_keep_a_hand_made_installation_that_is_taken_over(update: str, home: Path, victim: Path) -> None:
    number = pwd.getpwnam(THIEF).pw_uid
    (home / "data").mkdir()
    (home / "data" / "of-a-job").touch()
    (home / "nonce").symlink_to(victim)
    (home / "kraken.env").symlink_to(victim)
    for path in (home, *home.rglob("*")):
        os.lchown(path, number, -1)
    assert SECRET not in deploy(agent(home, update=update))
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600
    assert home.stat().st_uid == 0
    assert not (home / "kraken.env").is_symlink()
    assert (home / "kraken.env").stat().st_uid == 0
    assert is_thiefs(home / "data" / "of-a-job")
    assert deploy(agent(home, update=update)) == str(as_result([]))


@as_root
def test_swap_what_root_reads_while_the_agent_may_update_itself(home: Path) -> None:
    """The account makes the link `current` anew, and cannot touch kraken.env, which systemd reads as root."""
    deploy(agent(home, update="server"))
    with as_thief():
        (home / "current").unlink()
        (home / "current").symlink_to("versions/other")
        mine = home / "mine"
        mine.touch()
        with pytest.raises(PermissionError):
            mine.rename(home / "kraken.env")


@as_root
def test_keep_the_binaries_after_the_agent_may_not_update_itself_any_more(home: Path) -> None:
    deploy(agent(home, update="server"))
    assert is_thiefs(home / "versions")
    assert is_thiefs(home / "current")
    (name,) = [path.name for path in (home / "versions").iterdir()]
    with as_thief():
        held = (home / "current" / "kkagent").open("r+b")
        (home / "versions" / "older").mkdir()
        (home / "versions" / "older" / "kkagent").write_text("print('older')")
    assert f"install version {name}" in deploy(agent(home))
    with held:
        held.write(b"evil")
    assert (home / "current" / "kkagent").read_text() == "print('kkagent')"
    assert not [path for path in (home / "versions").rglob("*") if is_thiefs(path)]
    assert not is_thiefs(home / "current")
    assert deploy(agent(home)) == str(as_result([]))


@as_root
def test_have_root_run_a_program_of_the_accounts(home: Path) -> None:
    """What is tried before it is switched to lies in a directory of root's, and runs as the account."""
    said = home.parent / "said"
    said.touch()
    os.chown(said, pwd.getpwnam(THIEF).pw_uid, -1)
    wanted = release(
        f"import os\nopen({str(said)!r}, 'w').write(f'{{os.getuid()}} {{__file__}} {{os.stat(__file__).st_uid}}')"
    )
    deploy(agent(home, update="server"), wanted._replace(self_checking=True))
    uid, path, owner = said.read_text().split()
    assert int(uid) == pwd.getpwnam(THIEF).pw_uid
    assert Path(path).parents[2] == home, "not in `versions`, which is the account's"
    assert owner == "0"


@as_root
def test_own_a_directory_above_the_agents(home: Path) -> None:
    os.chown(home, pwd.getpwnam(THIEF).pw_uid, -1)
    with pytest.raises(HostError, match=f"belongs to the account {THIEF}"):
        deploy(agent(home / "agent"))


@as_root
def test_have_root_end_a_process_of_somebody_else(home: Path) -> None:
    """A pidfile that the account wrote speaks only of its own processes."""
    (home / "current").mkdir()
    started = process._started(os.getpid())
    pidfile = Path(process.pidfile(str(home)))
    pidfile.write_text(f"{os.getpid()} {started}\n")
    os.chown(pidfile, pwd.getpwnam(THIEF).pw_uid, -1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "_command_line", lambda _: [str(home / "current" / "kkagent")])
        assert process.running(str(home)) is None
        os.chown(pidfile, 0, -1)
        assert process.running(str(home)) == os.getpid()
    pidfile.unlink()


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nb", "-rf", "..", ""])
def test_put_words_into_a_deploys_output_by_the_name_of_a_release(name: str, home: Path) -> None:
    (home / "current").symlink_to(f"versions/{name}" if name else "/")
    assert installed.installed(str(home)) is None


def test_end_a_deploy_with_a_secret_that_is_no_text(home: Path) -> None:
    (home / "nonce").write_bytes(b"\xff\xfe\x00")
    assert len(converge.state(agent(home))["nonce_sha256"]) == 64
