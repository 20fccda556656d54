"""Following the server's version: real files, a real exec, and the way back."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from kraken_fleet.bundle.archive import pack
from kraken_fleet.bundle.contents import RECIPES, files_of
from tests.unit.agent.conftest import PYTHON, RunningAgent, StartAgent
from tests.unit.agent.fake_server import FakeServer
from tests.unit.agent.releases import liar, own_release

Until = Callable[..., None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An agent's directory with version 1 as the current one."""
    root = tmp_path / "opt"
    place = root / "versions" / "1-old"
    place.mkdir(parents=True)
    for path, content in own_release(tmp_path, "1").items():
        (place / f"kk{Path(path).name}").write_bytes(content)
    (root / "current").symlink_to("versions/1-old")
    return root


@pytest.fixture
def start(start_agent: StartAgent, root: Path, server: FakeServer) -> StartAgent:
    def start(*options: str, mode: str = "server", guard: int = 60) -> RunningAgent:
        argv = [PYTHON, str(root / "current" / "kkagent")]
        variables = {"KRAKEN_AGENT_UPDATE": mode, "PYTHONPATH": "", "KRAKEN_AGENT_UPDATE_GUARD_SECONDS": str(guard)}
        # The fake server speaks http, so somebody else has to vouch for its files.
        variables["KRAKEN_AGENT_UPDATE_SHA256"] = " ".join(digest(data) for data in server.files.values())
        return start_agent(*options, argv=argv, **variables)

    return start


def offer(server: FakeServer, directory: Path, version: str) -> None:
    """Let the server have this version of the agent."""
    server.version, server.files = version, own_release(directory, version)


def offer_silent(server: FakeServer) -> None:
    """Let the server have a version that stays and says nothing, as upstream's agent does."""
    server.version = "9"
    server.files = {"/install/agent": liar("import time; time.sleep(60)"), "/install/tool": liar("")}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def current(root: Path) -> str:
    return str((root / "current").readlink())


def state(root: Path) -> dict[str, str]:
    return dict(json.loads((root.parent / "data" / "update.json").read_text()))


def start_time(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_agent_becomes_the_servers_version_and_keeps_its_process(
    server: FakeServer, root: Path, start: StartAgent, tmp_path: Path, until: Until
) -> None:
    offer(server, tmp_path, "2")
    agent = start()
    until(lambda: "agent 2 for" in agent.said())
    digest = hashlib.sha256(server.files["/install/agent"]).hexdigest()[:8]
    until(lambda: current(root) == f"versions/2-{digest}")
    assert (root / "current" / "kktool").read_bytes() == server.files["/install/tool"]
    until(lambda: state(root) == {"version": "2", "state": "current"})
    job = server.add_job({"cmd": "echo after the update"})
    until(lambda: job.finished)
    assert agent.process.poll() is None
    assert agent.said().count("restarting as") == 1


def test_a_job_is_never_interrupted_by_an_update(
    server: FakeServer, root: Path, start: StartAgent, tmp_path: Path, until: Until
) -> None:
    server.files = own_release(tmp_path, "2")
    server.version = "1"
    job = server.add_job({"cmd": "echo begun; sleep 1; echo ended"})
    start()
    until(lambda: server.sink.output())
    server.version = "2"
    until(lambda: current(root).startswith("versions/2-"))
    assert server.sink.output(job.id) == ["begun", "ended"]


def test_a_managed_agent_stays_what_it_is(
    server: FakeServer, root: Path, start: StartAgent, tmp_path: Path, until: Until
) -> None:
    offer(server, tmp_path, "2")
    start(mode="managed")
    until(lambda: len(server.said("get-job")) >= 2)
    assert current(root) == "versions/1-old"


def test_no_update_wins(server: FakeServer, root: Path, start: StartAgent, tmp_path: Path, until: Until) -> None:
    offer(server, tmp_path, "2")
    start("--no-update")
    until(lambda: len(server.said("get-job")) >= 2)
    assert current(root) == "versions/1-old"


@pytest.mark.parametrize("damage", ["cut", "missing", "not even a zip"])
def test_a_damaged_file_is_not_switched_to(
    server: FakeServer, root: Path, start: StartAgent, tmp_path: Path, until: Until, damage: str
) -> None:
    offer(server, tmp_path, "2")
    content = server.files.pop("/install/agent")
    if damage != "missing":
        server.files["/install/agent"] = content[: len(content) // 2] if damage == "cut" else b"<html>sorry</html>"
    agent = start()
    until(lambda: "no update to 2" in agent.said())
    job = server.add_job({"cmd": "echo still here"})
    until(lambda: job.finished)
    assert current(root) == "versions/1-old"
    assert [path.name for path in (root / "versions").iterdir()] == ["1-old"]
    assert agent.said().count("no update to 2") == 1
    if damage != "missing":
        assert state(root) == {"version": "2", "state": "failed"}


def test_a_version_that_could_not_be_had_is_tried_again(
    server: FakeServer, root: Path, start: StartAgent, tmp_path: Path, until: Until
) -> None:
    """Half a second later, in place of ten minutes."""
    package = tmp_path / "source-1" / "kraken_agent"
    update = package / "update.py"
    update.write_text(update.read_text().replace("_AGAIN_SECONDS = 600.0", "_AGAIN_SECONDS = 0.5"))
    for recipe in RECIPES:
        (root / "current" / recipe.name).write_bytes(pack(recipe.name, "1", files_of(recipe, package)))
    server.version, server.files = "1", own_release(tmp_path, "2")
    agent = start()
    until(lambda: server.said("get-job"))
    files, server.files = server.files, {}
    server.version = "2"
    until(lambda: agent.said().count("no update to 2 now: ") >= 2)
    assert not (root.parent / "data" / "update.json").exists()
    server.files = files
    until(lambda: current(root).startswith("versions/2-"))


def test_a_new_version_that_does_not_come_up_gives_way_to_the_old_one(
    server: FakeServer, root: Path, start: StartAgent, until: Until
) -> None:
    server.version = "9"
    server.files = {"/install/agent": liar("sys.exit('this version is no good')"), "/install/tool": liar("")}
    (root / "agent.pid").touch()
    agent = start()
    (root / "agent.pid").write_text(f"{agent.pid} {start_time(agent.pid)}\n")
    until(lambda: "the old one is back" in agent.said())
    agent.wait()
    until(lambda: agent.said().count("agent 1 for") == 2)
    assert current(root) == "versions/1-old"
    assert state(root) == {"version": "9", "state": "failed"}
    new, began = (int(word) for word in (root / "agent.pid").read_text().split())
    assert began == start_time(new)
    try:
        job = server.add_job({"cmd": "echo back"})
        until(lambda: job.finished)
        assert agent.said().count("restarting as") == 1
    finally:
        os.kill(new, 15)


def test_a_new_version_that_trips_before_it_has_met_the_server_gives_way(
    server: FakeServer, root: Path, start: StartAgent, tmp_path: Path, until: Until
) -> None:
    """It comes up and is whole, but what it wants to say of itself cannot be found out."""
    package = tmp_path / "source-3" / "kraken_agent"
    own_release(tmp_path, "3")
    with (package / "hostinfo.py").open("a") as file:
        file.write("\n\ndef collect(*args):\n    raise RuntimeError('tripped')\n")
    server.version = "3"
    server.files = {f"/install/{r.name[2:]}": pack(r.name, "3", files_of(r, package)) for r in RECIPES}
    agent = start()
    until(lambda: "the old one is back" in agent.said())
    until(lambda: agent.said().count("agent 1 for") == 2)
    try:
        assert "tripped" in agent.said()
        assert current(root) == "versions/1-old"
        assert state(root) == {"version": "3", "state": "failed"}
    finally:
        # The old agent, which is no child of ours, and one of its own that may just be looking for engines.
        for pid in agents(root):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def agents(root: Path) -> list[int]:
    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if is_agent(process, root)]


def is_agent(process: Path, root: Path) -> bool:
    try:
        return str(root).encode() in (process / "cmdline").read_bytes()
    except OSError:
        return False


def test_a_trial_that_the_service_manager_ends_leaves_the_old_version_current(
    server: FakeServer, root: Path, start: StartAgent, until: Until
) -> None:
    """systemd kills everything of the service, the guard too, as soon as the agent is gone."""
    offer_silent(server)
    agent = start()
    until(lambda: (root.parent / "data" / "update.json").exists() and children(agent.pid))
    assert state(root)["state"] == "trying"
    assert current(root) == "versions/1-old"
    for pid in (*children(agent.pid), agent.pid):
        os.kill(pid, signal.SIGKILL)
    agent.wait()
    again = start()
    until(lambda: len(server.said("get-job")) >= 3)
    assert state(root) == {"version": "9", "state": "failed"}
    assert "restarting as" not in again.said().rpartition("agent 1 for")[2]


def test_an_agent_that_is_stopped_on_trial_stays_stopped_and_tries_again_later(
    server: FakeServer, root: Path, start: StartAgent, tmp_path: Path, until: Until
) -> None:
    offer(server, tmp_path, "2")
    agent = start()
    # The server is away before the new version can ask it.
    server.loses = lambda message: "restarting as" in agent.said()
    until(lambda: "trying again" in agent.said())
    started = children(agent.pid)
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
    assert not [pid for pid in Path("/proc").glob("[0-9]*") if is_agent(pid, root)]
    assert current(root) == "versions/1-old"
    server.loses = lambda message: False
    start()
    until(lambda: current(root).startswith("versions/2-"))


def test_a_version_that_says_nothing_but_stays_is_taken(
    server: FakeServer, root: Path, start: StartAgent, until: Until
) -> None:
    """As upstream's agent does, which knows nothing of trials."""
    offer_silent(server)
    agent = start(guard=5)
    until(lambda: "restarting as" in agent.said())
    began = time.monotonic()
    until(lambda: current(root).startswith("versions/9-"))
    assert time.monotonic() - began > 3
    until(lambda: state(root) == {"version": "9", "state": "current"})
    assert agent.process.poll() is None


def test_a_job_goes_on_with_the_release_that_it_began_with(
    server: FakeServer, root: Path, start: StartAgent, until: Until, tmp_path: Path
) -> None:
    """A deploy makes another one current, and then waits for the job's end."""
    wait = "echo begun; echo '{}' > found.json; until [ -e ../../go ]; do sleep 0.1; done"
    job = server.add_job({"cmd": wait}, {"tool": "values_collect", "files": [{"name": "found.json"}]})
    agent = start(mode="managed")
    until(lambda: server.sink.output())
    place = root / "versions" / "2-new"
    place.mkdir()
    for path, content in own_release(tmp_path, "2" * 60).items():
        (place / f"kk{Path(path).name}").write_bytes(content)
    (root / "next").symlink_to("versions/2-new")
    (root / "next").rename(root / "current")
    (agent.data_dir / "go").touch()
    until(lambda: job.finished)
    assert [result["status"] for result in server.results(job)][-1] == "done", server.results(job)


def test_the_same_file_under_another_version_is_no_update(
    server: FakeServer, root: Path, start: StartAgent, until: Until
) -> None:
    """An embedded server calls itself 1.7.36 and offers the agent that runs already."""
    release = root / "versions" / "1-old"
    content = (release / "kkagent").read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:8]
    release.rename(root / "versions" / f"1-{digest}")
    (root / "current").unlink()
    (root / "current").symlink_to(f"versions/1-{digest}")
    server.version = "1.7.36"
    server.files = {"/install/agent": content, "/install/tool": b"#!whatever"}
    agent = start()
    until(lambda: (root.parent / "data" / "update.json").exists())
    assert state(root) == {"version": "1.7.36", "state": "current"}
    until(lambda: len(server.said("get-job")) >= 2)
    assert "restarting" not in agent.said()
