"""What agents send and what they are answered: every message of the protocol (kraken/server/backend.py, 1.7.36)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kraken_fleet.model import NO_JOBS_KEY, JobState, StepStatus
from kraken_fleet.server import intake
from kraken_fleet.server.agents.identity import check_peer, check_room
from kraken_fleet.server.agents.scheduler import assign
from kraken_fleet.server.clock import now
from kraken_fleet.server.core import Core
from kraken_fleet.server.flows import jobs, runs, test_results
from kraken_fleet.server.flows.fields import Base, fill_step, secret_values
from kraken_fleet.server.flows.job_making import system_of
from kraken_fleet.server.flows.jobs import left_time
from kraken_fleet.server.flows.step_extras import add_extras, store_data
from kraken_fleet.server.intake import RefusedError
from kraken_fleet.server.rest.render_jobs import job_json, step_json
from kraken_fleet.server.store.tables import Agent, Job, Step, System

log = logging.getLogger(__name__)

Message = Mapping[str, Any]
Answer = dict[str, Any]

UNAUTHORIZED: Answer = {"unauthorized": True}
_STATUSES = {status.name.lower().replace("_", "-"): status for status in StepStatus}
# A system may be named by its id.
_MAX_DIGITS = 10
_OVER = (StepStatus.DONE, StepStatus.ERROR, StepStatus.SKIPPED)


def answer(core: Core, session: Session, address: str, peer: str | None, message: Message) -> Answer:
    """Return the answer to one message. Whatever it changes is committed before the answer is sent.

    Raises:
        KeyError, IndexError, TypeError: the message lacks something; the caller answers 500, as the real server does.
        RefusedError: it comes from somebody else, is more than is taken, or says what cannot be.
    """
    if address not in core.roster.discovered and not core.roster.is_authorized(address):
        # Nearly always somebody new, or somebody who was deleted.
        check_room(core, peer)
    agent = session.scalars(select(Agent).where(Agent.address == address)).one_or_none()
    if agent is None or agent.deleted is not None:
        core.roster.remember(_announce(core, session, agent, address, peer))
        return UNAUTHORIZED
    if agent.ip_address != peer:
        if agent.ip_address is not None:
            check_peer(core, address, core.roster.entry_of(agent), peer)
        agent.ip_address = peer
    reply = _reply(core, session, agent, message)
    session.flush()
    core.roster.remember(agent)
    return reply


def _reply(core: Core, session: Session, agent: Agent, message: Message) -> Answer:
    core.roster.seen(agent.id, now())
    # 1 is what the watchdog sets when an agent was silent for too long.
    if agent.state != 0:
        agent.state, agent.status_line = 0, None
        assign(session, core)
    if not agent.authorized:
        return UNAUTHORIZED
    handler = _HANDLERS.get(message["msg"])
    return handler(core, session, agent, message) if handler else {}


def _announce(core: Core, session: Session, agent: Agent | None, address: str, peer: str | None) -> Agent:
    if agent is None:
        agent = Agent(name=address, address=address)
        session.add(agent)
        log.info("a new agent announces itself as %s from %s", address, peer)
    else:
        # The real server takes a deleted agent back under its old id, unauthorized and as disabled as it was (1.7.36).
        agent.deleted, agent.created = None, now()
    agent.authorized = False
    agent.ip_address, agent.last_seen = peer, now()
    session.flush()
    core.roster.seen(agent.id, agent.last_seen)
    return agent


def _get_job(core: Core, session: Session, agent: Agent, message: Message) -> Answer:
    job = _current(session, core, agent)
    if job is None:
        return {"job": {}, **core.agent_cfg}
    with_steps = message["msg"] == "get-job"
    data = job_json(job, with_steps=with_steps, mask=False)
    data |= {"timeout": left_time(job), **_where(job), "secrets": secret_values(job.run.flow.branch)}
    if with_steps:
        for step, shown in zip(job.steps, data["steps"], strict=True):
            add_extras(core, session, step, shown)
        names = test_results.names(session, job)
        if names:
            data["steps"][-1]["tests"] = names
    if job.started is None:
        job.started = now()
        job.state = JobState.ASSIGNED
    return {"job": data, **core.agent_cfg}


def _get_job_step(core: Core, session: Session, agent: Agent, _message: Message) -> Answer:
    finish = {"job_step": {"finish": True}}
    if agent.job is None:
        return {**finish, "msg": "job not assigned to agent", **core.agent_cfg}
    job = _current(session, core, agent)
    if job is None:
        return {**finish, "msg": "job already completed", **core.agent_cfg}
    step = _next_step(job)
    if step is None:
        agent.job = None
        runs.finish_job(session, job)
        assign(session, core)
        return {**finish, "msg": "no steps to execute", **core.agent_cfg}
    if job.started is None:
        job.started, job.state = now(), JobState.ASSIGNED
    branch = job.run.flow.branch
    data = {**step_json(step, mask=False), "finish": False, **_where(job)}
    add_extras(core, session, step, data)
    data |= {"secrets": secret_values(branch), "branch_env": branch.env_vars or {}}
    return {"job_step": data, **core.agent_cfg}


def _next_step(job: Job) -> Step | None:
    base = Base.of(job.run)
    for step in job.steps:
        if step.status in _OVER:
            continue
        fill_step(step, base)
        match step.fields["when"]:
            case "True":
                return step
            case "False":
                step.status = StepStatus.SKIPPED
            case _:
                log.warning("job %s step %s: the condition %s cannot be read", job.id, step.index, step.raw["when"])
                step.status = StepStatus.ERROR
    return None


def _step_result(core: Core, session: Session, agent: Agent, message: Message) -> Answer:
    job = agent.job
    if job is None or job.id != message["job_id"]:
        return {}
    try:
        result = dict(message["result"])
        index = message["step_idx"]
        status = _STATUSES[result.pop("status")]
    except (KeyError, TypeError, ValueError):
        return {}
    if not isinstance(index, int) or not 0 <= index < len(job.steps):
        raise IndexError(f"the job has no step {index}")
    step = job.steps[index]
    if job.state == JobState.COMPLETED:
        agent.job = None
        assign(session, core)
        return {"cancel": True}
    intake.check_result(result)
    # A network may deliver that it began after that it ended; the step would be given out again.
    if status == StepStatus.IN_PROGRESS and step.status in _OVER:
        return {"timeout": left_time(job)}
    step.result, step.status = result, status
    if "test-results" in result:
        test_results.store(session, job, step.tool.name, result["test-results"])
    if "data" in result:
        store_data(core, step, result["data"])
    # An agent that sends step-result2 asks for the next step, and that question ends the job: seen on 1.7.36.
    if message["msg"] == "step-result" and _all_over(job):
        agent.job = None
        runs.finish_job(session, job)
        assign(session, core)
        return {}
    return {"timeout": left_time(job)}


def _all_over(job: Job) -> bool:
    statuses = [step.status for step in job.steps]
    return StepStatus.ERROR in statuses or all(status in _OVER for status in statuses)


def _dispatch_tests(core: Core, session: Session, agent: Agent, message: Message) -> Answer:
    job = agent.job
    if job is None or job.id != message["job_id"]:
        return {}
    if _current(session, core, agent) is None:
        return {"cancel": True}
    tests, index = message.get("tests"), message.get("step_idx")
    if not isinstance(tests, list) or not isinstance(index, int) or not 0 <= index < len(job.steps):
        return {}
    if not all(isinstance(test, str) for test in tests) or len(set(tests)) != len(tests):
        return {}
    if not tests:
        raise IndexError("no tests to dispatch")
    mine = test_results.dispatch(session, job.steps[index], tests)
    # The other half is in a new job, which waits for an agent now.
    if len(mine) < len(tests):
        assign(session, core)
    return {"tests": mine}


def _host_info(core: Core, session: Session, agent: Agent, message: Message) -> Answer:
    if not message["info"]["system"]:
        return {"error": "empty system in host info", **core.agent_cfg}
    info = core.intake.host_info(message["info"])
    name = info["system"]
    known = session.get(System, int(name)) if name.isascii() and name.isdigit() and len(name) < _MAX_DIGITS else None
    if known is not None:
        info["system"] = known.name
    else:
        _check_systems(core, session, name)
        system_of(session, name, "local")
    agent.host_info = info
    # Only this server reads it: the agent then goes on speaking, since it gets no job for that.
    told = {NO_JOBS_KEY: True} if info.get(NO_JOBS_KEY) else {}
    if told and agent.job is not None and agent.job.state == JobState.QUEUED:
        jobs.queue_again(agent, f"agent {agent.name} takes no jobs, queued again")
    assign(session, core)
    return {"agent_id": agent.id, **core.agent_cfg, **told}


def _check_systems(core: Core, session: Session, name: str) -> None:
    most = core.settings.limits.systems
    if session.scalar(select(func.count()).select_from(System)) < most:  # type: ignore[operator] # a count is a number
        return
    if session.scalars(select(System.id).where(System.name == name)).first() is None:
        raise RefusedError(429, f"The server knows {most} systems already")


def _keep_alive(core: Core, session: Session, agent: Agent, _message: Message) -> Answer:
    if agent.job is not None and _current(session, core, agent) is None:
        return {"cancel": True}
    return {}


def _current(session: Session, core: Core, agent: Agent) -> Job | None:
    """Return the agent's job; a cancelled one is taken from it here, which makes it free for another."""
    job = agent.job
    if job is not None and job.state == JobState.COMPLETED:
        agent.job = None
        assign(session, core)
        return None
    return job


def _where(job: Job) -> dict[str, Any]:
    flow = job.run.flow
    where = {"branch_id": flow.branch_id, "flow_kind": flow.kind, "flow_id": flow.id, "run_id": job.run_id}
    return {**where, "trigger_data": [flow.trigger]} if flow.trigger else where


_HANDLERS: dict[str, Callable[[Core, Session, Agent, Message], Answer]] = {
    "get-job": _get_job,
    "get-job2": _get_job,
    "get-job-step": _get_job_step,
    "step-result": _step_result,
    "step-result2": _step_result,
    "dispatch-tests": _dispatch_tests,
    "host-info": _host_info,
    "keep-alive": _keep_alive,
}
