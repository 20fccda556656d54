"""Who gets which job, and that nobody waits for a tick."""

from __future__ import annotations

from ..conftest import Api, HandAgent, job_spec


def test_a_job_is_assigned_within_the_request_that_starts_it(api: Api) -> None:
    agent = HandAgent(api).enrol()
    [job] = api.start([job_spec()])
    assert job["agent_id"] == agent.id
    assert agent.job()["id"] == job["id"]


def test_a_waiting_job_is_assigned_when_an_agent_becomes_fit(api: Api) -> None:
    group = api.group("g")
    other = HandAgent(api).enrol(group)
    api.start([job_spec(group="g")])  # occupies the one agent of the group
    disabled = HandAgent(api).enrol()
    api.call("PUT", f"/api/agents/{disabled.id}", {"disabled": True, "groups": [{"id": 1}, {"id": group}]})
    [job] = api.start([job_spec(group="g")])
    assert job["agent_id"] == 0
    assert disabled.job() == {}
    api.call("PUT", f"/api/agents/{disabled.id}", {"disabled": False})
    assert disabled.job()["id"] == job["id"]
    assert other.job()["id"] != job["id"]


def test_joining_a_group_is_enough_to_get_its_waiting_job(api: Api) -> None:
    group = api.group("g")
    busy = HandAgent(api).enrol(group)
    api.start([job_spec(group="g")])
    [job] = api.start([job_spec(group="g")])
    late = HandAgent(api).enrol()
    assert late.job() == {}
    api.call("PUT", f"/api/agents/{late.id}", {"groups": [{"id": group}]})
    assert late.job()["id"] == job["id"]
    busy.work()
    assert busy.job() == {}


def test_a_finished_agent_gets_the_next_job_at_once_oldest_first(api: Api) -> None:
    agent = HandAgent(api).enrol()
    ids = [api.start([job_spec()])[0]["id"] for _ in range(3)]
    done = []
    for _ in ids:
        done.append(agent.job()["id"])
        agent.work()
    assert done == ids


def test_a_group_that_the_agent_is_not_in_is_not_its_business(api: Api) -> None:
    group = api.group("g")
    member, outsider = HandAgent(api).enrol(group), HandAgent(api).enrol()
    api.start([job_spec(group="g")])
    api.start([job_spec(group="g")])
    assert outsider.job() == {}
    assert member.job()["agents_group_name"] == "g"


def test_the_system_has_to_be_the_agents_unless_any(api: Api) -> None:
    debian, fedora = HandAgent(api).enrol(system="debian-12"), HandAgent(api).enrol(system="fedora-40")
    [job] = api.start([job_spec(system="fedora-40")])
    assert job["agent_id"] == fedora.id
    [job] = api.start([job_spec(system="any")])
    assert job["agent_id"] == debian.id
    [job] = api.start([job_spec(system="plan9")])
    assert job["agent_id"] == 0


def test_several_systems_make_several_jobs(api: Api) -> None:
    HandAgent(api).enrol()
    jobs = api.start([job_spec(system=["debian-12", "any", "plan9"])])
    assert [job["system"] for job in jobs] == ["debian-12", "any", "plan9"]


def test_a_docker_job_waits_for_an_agent_with_docker(api: Api) -> None:
    HandAgent(api).enrol()
    [job] = api.start([job_spec(system="debian:12", executor="docker")])
    assert (job["agent_id"], job["executor"]) == (0, "docker")
    able = HandAgent(api).enrol(docker="20.10.24")
    assert able.job()["id"] == job["id"]


def test_a_job_behind_many_that_do_not_fit_is_found(api: Api) -> None:
    agent = HandAgent(api).enrol()
    jobs = [job_spec(name=f"j{number}", system="other-9") for number in range(120)]
    assert {job["agent_id"] for job in api.jobs(api.run(api.stage(jobs)))} == {0}
    [fits] = api.start([job_spec()])
    assert agent.job()["id"] == fits["id"]


def test_work_goes_round(api: Api) -> None:
    agents = [HandAgent(api).enrol() for _ in range(3)]
    used = []
    for _ in range(6):
        [job] = api.start([job_spec()])
        used.append(job["agent_id"])
        next(agent for agent in agents if agent.id == job["agent_id"]).work()
    assert used[:3] == used[3:] == [agent.id for agent in agents]


def test_losing_authorization_or_the_record_puts_the_job_back(api: Api) -> None:
    first, second, third = (HandAgent(api).enrol() for _ in range(3))
    [job] = api.start([job_spec()])
    assert first.job()["id"] == job["id"]
    api.call("PATCH", "/api/agents", [{"id": first.id, "authorized": False}])
    assert second.job()["id"] == job["id"]
    second.say("get-job-step")
    second.say("step-result2", job_id=job["id"], step_idx=0, result={"status": "in-progress"})
    api.call("DELETE", f"/api/agents/{second.id}")
    moved = third.job()
    assert (moved["id"], moved["steps"][0]["status"]) == (job["id"], None)
    assert "was deleted, queued again" in moved["notes"]


def test_an_agent_that_takes_no_jobs_gets_none_and_its_waiting_job_goes_on(api: Api) -> None:
    full = HandAgent(api).enrol()
    [job] = api.start([job_spec()])
    assert job["agent_id"] == full.id
    answer = full.say("host-info", info={"system": "debian-12", "kraken_fleet_no_jobs": "3 MiB are free"})
    assert answer["kraken_fleet_no_jobs"] is True
    assert full.job() == {}
    other = HandAgent(api).enrol()
    assert other.job()["id"] == job["id"]
    [later] = api.start([job_spec()])
    assert later["agent_id"] == 0
    assert "kraken_fleet_no_jobs" not in full.say("host-info", info={"system": "debian-12"})
    assert full.job()["id"] == later["id"]
