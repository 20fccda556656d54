"""Agents, groups, systems, users and settings as the API shows them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kraken_fleet.server.clock import iso
from kraken_fleet.server.rest.render_jobs import job_json
from kraken_fleet.server.store.roster import Roster
from kraken_fleet.server.store.tables import Agent, AgentsGroup, Assignment, LoginSession, Setting, System, User

# What the real server shows of a group that no cloud provides (kraken/server/models.py).
_DEPLOYMENT: dict[str, Any] = {
    "method": 0,
    "aws": {
        "region": "",
        "instances_limit": 5,
        "default_image": "",
        "instance_type": "",
        "disk_size": 0,
        "destruction_after_jobs": 1,
        "destruction_after_time": 30,
    },
    "aws_ecs_fargate": {"region": "", "instances_limit": 5, "cluster": "", "subnets": "", "security_groups": ""},
    "azure_vm": {
        "location": "",
        "instances_limit": 5,
        "default_image": "",
        "vm_size": "",
        "destruction_after_jobs": 1,
        "destruction_after_time": 30,
    },
    "kubernetes": {"instances_limit": 5},
}


def agent_json(agent: Agent, roster: Roster, groups: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return one agent. `last_seen` is exact, also when it is not written yet.

    Args:
        groups: id and name of each, when they are at hand; otherwise the record is asked.
    """
    if groups is None:
        groups = [{"id": place.group.id, "name": place.group.name} for place in agent.assignments]
    refused = roster.refused(agent.id) if agent.authorized else None
    return {
        "id": agent.id,
        "created": iso(agent.created),
        "deleted": iso(agent.deleted),
        "last_seen": iso(roster.last_seen(agent.id, agent.last_seen)),
        "name": agent.name,
        "address": agent.address,
        "authorized": agent.authorized,
        "ip_address": agent.ip_address,
        "state": agent.state,
        "disabled": agent.disabled,
        "comment": agent.comment,
        "status_line": f"refused: it connects from {refused} now" if refused else agent.status_line,
        "host_info": agent.host_info,
        "user_attrs": None,
        "extra_attrs": {"refused_peer": refused} if refused else None,
        "groups": groups,
        "job": job_json(agent.job) if agent.job else None,
    }


def group_json(session: Session, group: AgentsGroup) -> dict[str, Any]:
    """Return one agents group; `agents_count` leaves out deleted agents."""
    members = select(func.count()).select_from(Assignment).join(Agent, Agent.id == Assignment.agent_id)
    return {
        "id": group.id,
        "created": iso(group.created),
        "deleted": iso(group.deleted),
        "name": group.name,
        "project_id": group.project_id,
        "project_name": group.project.name if group.project else None,
        "agents_count": session.scalar(members.where(Assignment.group_id == group.id, Agent.deleted.is_(None))),
        "deployment": _deployment(group.deployment),
    }


def _deployment(kept: dict[str, Any]) -> dict[str, Any]:
    """Return what was kept, with the parts and the settings that the real server adds: no method, unless all is new."""
    if not kept:
        return _DEPLOYMENT
    found = {**{name: part for name, part in _DEPLOYMENT.items() if name != "method"}, **kept}
    added = ("destruction_after_jobs", "destruction_after_time", "disk_size")
    if isinstance(kept.get("aws"), dict):
        found["aws"] = {**{name: _DEPLOYMENT["aws"][name] for name in added}, **kept["aws"]}
    return found


def system_json(system: System) -> dict[str, Any]:
    return {"id": system.id, "name": system.name, "executor": system.executor}


def user_json(user: User) -> dict[str, Any]:
    return {"id": user.id, "name": user.name, "enabled": user.enabled, "email": "", "superadmin": user.superadmin}


def roles_json(user: User) -> dict[str, Any]:
    return {"superadmin": user.superadmin, "projects": {}}


def session_json(row: LoginSession, token: str) -> dict[str, Any]:
    return {"id": row.id, "token": token, "user": user_json(row.user), "roles": roles_json(row.user)}


def settings_json(session: Session, *, public: bool) -> dict[str, dict[str, Any]]:
    """Return all settings by group, passwords blank; for `public` only which identity providers are enabled."""
    groups: dict[str, dict[str, Any]] = {}
    for row in session.scalars(select(Setting)):
        if not public or (row.group == "idp" and "enabled" in row.name):
            groups.setdefault(row.group, {})[row.name] = _setting_value(row)
    return groups


def _setting_value(row: Setting) -> str | int | bool:
    match row.kind:
        case "integer":
            return int(row.value)
        case "boolean":
            return row.value == "True"
        case "password":
            return ""
    return row.value
