"""Pages of the console over a real embedded server, without a browser."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.api.deletions import DeletionPace
from kraken_fleet.model import Deploy, Deployment, HostResult, TaskResult
from kraken_fleet.server.testing import RunningServer
from kraken_fleet.state import save_deploy
from tests.console_server import serving
from tests.cost import least_cpu
from tests.stages import shell_job, stage_code
from tests.unit.web.person import Person, settings_for, signed_in
from tests.waiting import eventually


def test_the_discovered_page_says_what_speaks_for_each(person: Person) -> None:
    page = person.get("/discovered")
    assert "10.0.0.21 is build-1 of the inventory" in page
    assert "no host of the inventory has the address 10.0.0.23" in page
    assert "but claims" in page, "it connects from 127.0.0.1, which is worth a second look"


def test_ignoring_hides_an_agent_and_changes_nothing_on_the_server(person: Person, server: RunningServer) -> None:
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        (waiting,) = [one for one in client.agents(unauthorized=True) if one.address == "10.0.0.23"]
        person.post("/discovered/change", action="ignore", agent=waiting.id)
        assert ">10.0.0.23<" not in person.get("/discovered")
        assert ">10.0.0.23<" in person.get("/discovered?ignored=1")
        assert client.agent(waiting.id) == waiting


def test_the_plan_is_shown_applied_with_progress_and_then_empty(person: Person, server: RunningServer) -> None:
    page = person.get("/fleet")
    assert "authorize build-1 (10.0.0.21)" in page
    fingerprint = re.search(r'name="fingerprint" value="([^"]+)"', page)
    assert fingerprint
    server_now, _, inventory_now = fingerprint[1].partition(".")
    for another in ("another", f"another.{inventory_now}", f"{server_now}.another"):
        assert "has changed since" in person.post("/fleet/apply", fingerprint=another).text
    person.post("/fleet/apply", fingerprint=fingerprint[1])
    page = _until("No changes", lambda: person.get("/fleet"))
    assert "Last application" in page
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        groups = {agent.address: agent.group_names for agent in client.agents()}
        assert groups["10.0.0.21"] == groups["10.0.0.22"] == {"all", "linux"}
    assert "inventory group kraken_group_linux" in person.get("/groups")


def test_the_groups_page_shows_how_kraken_makes_agents_and_no_secret(person: Person, server: RunningServer) -> None:
    settings = {"region": "eu-central-1", "instances_limit": 10, "init_script": "export TOKEN=hunter2"}
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        spot = client.create_group("spot")
        client.set_deployment(spot.id, Deployment.of("aws", settings))
    # The console looks at the server again after a while, which depends on how long it took the last time.
    page = _until("<summary>aws</summary>", lambda: person.get("/groups"))
    row = page[page.index(">spot</th>") :].partition("</tr>")[0]
    assert "<summary>aws</summary>" in row
    for setting in ("region: eu-central-1", "instances_limit: 10", "init_script: (hidden)"):
        assert f"<li>{setting}</li>" in row
    assert "hunter2" not in page
    everybody = page[page.index(">all</th>") :].partition("</tr>")[0]
    assert '<td data-label="Deployment">manual</td>' in everybody


def test_a_group_that_the_inventory_declares_comes_from_there(server: RunningServer, tmp_path: Path) -> None:
    settings = settings_for(server, tmp_path)
    with (tmp_path / "hosts.yml").open("a") as file:
        file.write("all:\n  vars: {kraken_registration_groups: [{name: declared}]}\n")
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        client.create_group("declared")
    with serving(settings) as console:
        page = signed_in(console, server).get("/groups")
    row = page[page.index(">declared</th>") :].partition("</tr>")[0]
    assert '<span class="tag">kraken_registration_groups</span>' in row


def test_agents_are_deleted_in_the_background_and_the_page_shows_how_far_it_is(
    person: Person, server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = ("10.0.0.41", "10.0.0.42")
    for address in addresses:
        requests.post(f"{server.url}/backend", json={"address": address, "msg": "get-job"}, timeout=60)
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        ids = [agent.id for agent in client.agents(unauthorized=True) if agent.address in addresses]
        client.set_authorized(ids)
        _until(">10.0.0.42<", lambda: person.get("/agents"))
        with _held_up(monkeypatch, ids[1]):
            assert "Deleting 2 agents" in person.post("/agents/change", action="delete", agent=ids).text
            page = _until("1 of 2 agents", lambda: person.get("/agents"))
            assert "data-follow" in page, "the page fetches itself again while it goes on"
            # The list is read anew every few seconds.
            _until(">10.0.0.41<", lambda: person.get("/agents"), there=False)
            assert "try again when that is over" in person.post(f"/agents/{ids[1]}/delete").text
        page = _until("2 of 2 agents", lambda: person.get("/agents"))
        assert "Last deletion" in page
        assert "data-follow" not in page
        assert {agent.id for agent in client.agents()}.isdisjoint(ids)
    log = [json.loads(line) for line in (tmp_path / "state" / "audit.log").read_text().splitlines()]
    assert [(line["action"], line["targets"], line["result"]) for line in log[-2:]] == [
        ("delete agent", ["10.0.0.41"], "ok"),
        ("delete agent", ["10.0.0.42"], "ok"),
    ]
    assert (log[-1]["who"], log[-1]["program"], log[-1]["from"]) == ("admin", "console", "127.0.0.1")


@contextmanager
def _held_up(monkeypatch: pytest.MonkeyPatch, agent_id: int) -> Iterator[None]:
    """The server's queue is far behind when the turn comes to this agent."""
    go_on, wait = threading.Event(), DeletionPace.wait

    def wait_long(pace: DeletionPace, asked: int) -> None:
        if asked == agent_id:
            assert go_on.wait(100)
        wait(pace, asked)

    monkeypatch.setattr(DeletionPace, "wait", wait_long)
    try:
        yield
    finally:
        go_on.set()


def _until(text: str, look: Callable[[], str], *, there: bool = True) -> str:
    """The page once it says this, or no longer does."""
    return eventually(look, lambda page: (text in page) is there)


def test_sign_ins_and_changes_are_written_down_and_passwords_are_not(
    person: Person, server: RunningServer, tmp_path: Path
) -> None:
    person.post("/groups/create", name="written-down")
    log = tmp_path / "state" / "audit.log"
    text = log.read_text()
    assert '"action": "sign in"' in text
    assert '"targets": ["written-down"]' in text
    assert server.password not in text
    assert log.stat().st_mode & 0o077 == 0


def test_downloads_are_filled_in_and_missing_addresses_can_be_set(person: Person, server: RunningServer) -> None:
    assert f"KRAKEN_CLICKHOUSE_ADDR={server.log_addr}" in person.get("/downloads")
    script = person.http.get(f"{person.console}/downloads/kraken-agent-install.sh", timeout=60)
    assert script.text.startswith("#!")
    person.post("/downloads/settings", server_url=server.url, clickhouse_addr="")
    assert "has no clickhouse_addr set" in person.get("/downloads")
    person.post("/downloads/settings", server_url=server.url, clickhouse_addr=server.log_addr)
    assert "cannot be made" not in person.get("/downloads")


def test_a_group_whose_waiting_jobs_nobody_may_take_is_marked(person: Person, server: RunningServer) -> None:
    speak = {"address": "10.0.0.31", "msg": "get-job"}
    requests.post(f"{server.url}/backend", json=speak, timeout=60)
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        (agent,) = [agent for agent in client.agents(unauthorized=True) if agent.address == speak["address"]]
        client.set_authorized([agent.id])
        client.set_agent_groups(agent.id, [1, client.create_group("lonely").id])
        branch = client.create_branch(client.create_project("lonely").id, "main")
        client.create_stage(branch.id, "s", stage_code(shell_job("lonely", "true")))
        for _ in range(2):  # the agent takes the first job only, and holds it
            client.start_flow(branch.id)
            requests.post(f"{server.url}/backend", json=speak, timeout=60)
        assert "nobody can run them" not in person.get("/groups")
        client.disable_agent(agent.id)
        # A console asks a slow server less often.
        page = _until("nobody can run them", lambda: person.get("/groups"))
        assert 'href="/jobs/' in page, "a job that waits can be opened, and cancelled there"
        client.set_authorized([agent.id], False)


def test_a_hundred_agents_cost_under_fifty_milliseconds_of_cpu(server: RunningServer, tmp_path: Path) -> None:
    for number in range(100):
        message = {"address": f"10.50.0.{number}", "msg": "get-job"}
        requests.post(f"{server.url}/backend", json=message, timeout=60)
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        client.set_authorized([one.id for one in client.agents(unauthorized=True) if one.address.startswith("10.50")])
    with serving(settings_for(server, tmp_path, poll_seconds=600)) as console:
        person = signed_in(console, server)
        # The console is a thread of this process. How long an answer takes depends on what else the machine does.
        cost = least_cpu(lambda: person.http.get(f"{console}/agents?size=100", timeout=60), times=10)
        answer = person.http.get(f"{console}/agents?size=100", timeout=60)
    assert answer.text.count('name="agent"') == 100
    assert "page;dur=" in answer.headers["Server-Timing"]
    assert cost < 0.050


def _authorized(server: RunningServer, address: str) -> int:
    """Let an agent in, if it is not; return its id."""
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        discovered = [agent.id for agent in client.agents(unauthorized=True) if agent.address == address]
        client.set_authorized(discovered)
        return next(agent.id for agent in client.agents() if agent.address == address)


def test_a_note_and_an_end_are_kept_with_a_disabled_agent_and_shown(person: Person, server: RunningServer) -> None:
    number = _authorized(server, "10.0.0.22")
    page = person.post("/agents/change", action="disable", agent=[number], note="a new disk", until="2h").text
    assert "disable 10.0.0.22: done" in page
    assert "by admin since" in person.get("/agents")
    shown = person.get(f"/agents/{number}")
    assert "a new disk" in shown
    assert re.search(r'until <time datetime="[-0-9T:]+Z" data-clock="full">', shown), "in the reader's time zone"
    assert "kraken-fleet-disabled" not in person.get("/agents") + person.get("/groups")
    assert "enable 10.0.0.22: done" in person.post(f"/agents/{number}/enable").text
    assert "a new disk" not in person.get(f"/agents/{number}")


def test_an_end_that_is_no_moment_is_refused_and_changes_nothing(person: Person, server: RunningServer) -> None:
    number = _authorized(server, "10.0.0.22")
    answer = person.post(f"/agents/{number}/disable", until="soon")
    assert answer.status_code == 400
    assert "no moment" in answer.text
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        assert client.agent(number).enabled


def test_agents_are_called_as_the_inventory_calls_them(person: Person, server: RunningServer) -> None:
    number = _authorized(server, "10.0.0.21")
    # A console asks a slow server less often.
    _until('<td data-label="Name">build-1</td>', lambda: person.get("/agents"))
    assert "10.0.0.21" in person.get("/agents?q=build-1&sort=name")
    assert "10.0.0.21" not in person.get("/agents?q=build-2&sort=name")
    assert "<h1>build-1</h1>" in person.get(f"/agents/{number}")


def test_every_page_names_the_server_and_counts_agents_by_state(person: Person, server: RunningServer) -> None:
    _authorized(server, "10.0.0.21")
    counted = re.compile(r"state=(?:idle|silent|disabled).*?</span>\s+[1-9]", re.DOTALL)
    eventually(lambda: person.get("/agents"), counted.search)
    for path in ("/agents", "/groups", "/discovered", "/downloads"):
        page = person.get(path)
        assert f'<a href="{server.url}">{server.url.removeprefix("http://")}</a>' in page
        assert counted.search(page), path


def test_an_agents_version_and_what_its_host_has_are_shown_where_it_says_so(
    person: Person, server: RunningServer
) -> None:
    number, silent = _authorized(server, "10.0.0.21"), _authorized(server, "10.0.0.22")
    host = {"cpus": 8, "memory": 32 << 30, "disk": 500 << 30, "disk_free": 90 << 30}
    info = {"system": "debian-12", "kraken_fleet_version": "0.9.1", "kraken_fleet_host": host}
    message = {"address": "10.0.0.21", "msg": "host-info", "info": info}
    requests.post(f"{server.url}/backend", json=message, timeout=60)
    page = person.get(f"/agents/{number}")
    for text in ("<dd>0.9.1</dd>", "<dd>8</dd>", "<dd>32 GiB</dd>", "90 GiB free of 500 GiB"):
        assert text in page
    assert "kraken_fleet_host" not in page
    assert "CPUs" not in person.get(f"/agents/{silent}")
    listed = _until("90 GiB free of 500 GiB", lambda: person.get("/agents"))
    assert "8 CPUs, 32 GiB" in re.sub(r"\s+", " ", listed).replace(" ,", ",")


def test_a_job_is_cancelled_from_its_page(person: Person, server: RunningServer) -> None:
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        client.set_agent_groups(_authorized(server, "10.0.0.22"), [1, client.create_group("cancelled").id])
        branch = client.create_branch(client.create_project("cancelled").id, "main")
        client.create_stage(branch.id, "s", stage_code(shell_job("cancelled", "true")))
        flow = client.start_flow(branch.id)
        (job,) = eventually(lambda: [job for run in client.flow_runs(flow.id) for job in client.run_jobs(run.id)], bool)
        assert "Cancel the job" in person.get(f"/jobs/{job.id}")
        assert "cancel job" in person.post(f"/jobs/{job.id}/cancel").text
        eventually(lambda: client.job(job.id), lambda one: one.over)
        assert "Cancel the job" not in person.get(f"/jobs/{job.id}")
        assert "is over already" in person.post(f"/jobs/{job.id}/cancel").text


def test_a_past_run_opens_to_its_hosts_and_tasks(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRAKEN_FLEET_STATE_DIR", str(tmp_path / "runs"))
    hosts = {"build-1": HostResult(ok=2, changed=1), "build-2": HostResult(failed=1, message="the disk is full")}
    tasks = (TaskResult("Install the agent", 12.5, {"build-1": "changed", "build-2": "failed"}),)
    run = Deploy("deploy-agents.yml", "2026-05-04T12:00:00+00:00", 20.5, hosts=hosts, tasks=tasks)
    for one in (run, dataclasses.replace(run, started="2026-05-04T13:00:00+00:00", check=True)):
        save_deploy(one, tmp_path / "runs")
    save_deploy(Deploy("doctor.yml", "2026-05-04T14:00:00+00:00", 1.0, hosts=hosts), tmp_path / "runs")
    listed = person.get("/fleet")
    assert re.findall(r'changes no host">([^<]+)<', listed) == ["doctor", "dry run"]
    oldest = re.findall(r'href="(/deploys/[^"]+)"', listed)[-1]
    page = person.get(oldest)
    for text in ("Install the agent", "12.5 s", "the disk is full", 'datetime="2026-05-04T12:00:00Z"'):
        assert text in page
    assert person.http.get(f"{person.console}/deploys/never", timeout=60).status_code == 404


def test_only_a_conflict_is_answered_with_409(person: Person) -> None:
    assert person.http.get(f"{person.console}/agents/987654", timeout=60).status_code == 404
    assert person.http.get(f"{person.console}/jobs/987654", timeout=60).status_code == 404
    answer = person.post("/agents/987654/enable")
    assert answer.status_code == 404
