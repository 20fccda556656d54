"""The memory of past runs."""

from pathlib import Path

import pytest

from kraken_fleet.model import Deploy, HostResult
from kraken_fleet.state import KEPT, earlier_peers, keep_peers, recent_deploys, save_deploy, state_dir


def deploy(minute: int) -> Deploy:
    started = f"2026-01-02T03:{minute:02}:00+00:00"
    return Deploy("deploy-agents.yml", started, 1.5, hosts={"h": HostResult(ok=3, changed=1)})


def test_a_run_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    save_deploy(deploy(1), tmp_path)
    assert recent_deploys(tmp_path) == [deploy(1)]


def test_the_newest_run_comes_first_and_only_so_many_are_kept(tmp_path: Path) -> None:
    for minute in range(KEPT + 3):
        save_deploy(deploy(minute), tmp_path)
    assert recent_deploys(tmp_path, limit=1) == [deploy(KEPT + 2)]
    assert len(recent_deploys(tmp_path, limit=1000)) == KEPT


def test_a_damaged_file_hides_no_other(tmp_path: Path) -> None:
    save_deploy(deploy(1), tmp_path)
    (tmp_path / "deploys" / "20270101.json").write_text('{"hosts": []}')
    (tmp_path / "deploys" / "20270102.json").write_text("not json")
    assert recent_deploys(tmp_path) == [deploy(1)]


def test_the_state_directory_follows_the_environment() -> None:
    assert state_dir({"KRAKEN_FLEET_STATE_DIR": "/a"}) == Path("/a")
    assert state_dir({"XDG_STATE_HOME": "/b"}) == Path("/b/kraken-fleet")


def test_where_agents_spoke_from_is_kept_for_each_server_and_for_its_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    keep_peers(directory, "http://a", {"10.0.0.1": "10.0.0.1"})
    keep_peers(directory, "http://b", {"10.0.0.1": "192.0.2.1"})
    keep_peers(directory, "http://a", {"10.0.0.2": "10.0.0.2"})
    assert earlier_peers(directory, "http://a") == {"10.0.0.2": "10.0.0.2"}
    assert earlier_peers(directory, "http://b") == {"10.0.0.1": "192.0.2.1"}
    assert {path.stat().st_mode & 0o777 for path in (directory / "peers").iterdir()} == {0o600}
    assert (directory / "peers").stat().st_mode & 0o777 == 0o700
    assert len(list((directory / "peers").iterdir())) == 2, "nothing unfinished lies about"


@pytest.mark.parametrize("text", ["", "[]", '{"peers": 3}', "\x00", '{"peers": [["a"]]}'])
def test_a_damaged_memory_of_peers_is_none(text: str, tmp_path: Path) -> None:
    keep_peers(tmp_path, "http://a", {"10.0.0.1": "10.0.0.1"})
    (file,) = (tmp_path / "peers").iterdir()
    file.write_text(text)
    assert earlier_peers(tmp_path, "http://a") == {}


def test_a_directory_that_cannot_be_written_keeps_no_peers(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    keep_peers(tmp_path / "file", "http://a", {"10.0.0.1": "10.0.0.1"})
    assert earlier_peers(tmp_path / "file", "http://a") == {}
