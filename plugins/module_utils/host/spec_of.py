"""From a module's parameters to the agents that they ask for."""

from __future__ import annotations

import os
from typing import Any, Iterable, List, Mapping

from . import systemd, upstream
from .applied_settings import unusable
from .changes import HostError
from .installed import agent_on_host
from .interpreter import choose
from .setting import BINARIES, DATA_DIR, ONE_JOB, OURS, SCRIPT, UPDATE, UPSTREAM
from .spec import (
    AgentSpec,
    check_data,
    directory_of,
    drain_seconds_of,
    environment_of,
    name_of,
    source_address,
)
from .users import current_user, number, primary_group


def specs_of(params: Mapping[str, Any]) -> List[AgentSpec]:
    """Describe the agents of this host: one, or one for each instance.

    Raises:
        HostError: a parameter is impossible, by itself or on this host.
    """
    manager = _manager(params)
    user = _user(params)
    base = directory_of(params["dir"])
    instances = params["instances"] or [{"name": "", "address": params["address"]}]
    python = choose(params["python"], user) if params["state"] == "present" else ""
    specs = [_spec(params, one, base, manager, user, python) for one in instances]
    for what in ("directory", "unit", "data"):
        _refuse_twice(what, [getattr(spec, what) for spec in specs])
    return specs


def _spec(
    params: Mapping[str, Any], instance: Mapping[str, Any], base: str, manager: str, user: str, python: str
) -> AgentSpec:
    name = instance["name"] and name_of(instance["name"], "a name in kraken_agent_instances")
    directory = directory_of(instance.get("dir") or (f"{base}-{name}" if name else base))
    unit = instance.get("unit") or (f"{params['unit']}-{name}" if name else params["unit"])
    address = instance["address"]
    agent, method = _agent(params, name, directory), SCRIPT if params["source"] == "script" else BINARIES
    given = (params["environment"], instance.get("environment") or {})
    if params["state"] == "present":
        _refuse_unusable(given)
    environment = environment_of(params, directory, address, *given, method=method, agent=agent)
    check_data(environment[DATA_DIR], directory)
    if environment.get(ONE_JOB) == "yes":
        # The agent empties it. The account's own home is not for jobs to write to.
        environment.setdefault("HOME", f"{environment[DATA_DIR]}/home")
    drain_seconds = drain_seconds_of(environment, params["drain_seconds"])
    address = environment.get("KRAKEN_AGENT_ADDRESS") or address
    if agent == UPSTREAM and params["state"] == "present":
        address = upstream.address(address, environment, params["server_url"])
        environment.update(upstream.variables(params, directory, environment))
    spec = AgentSpec(
        name=name,
        directory=directory,
        unit=name_of(unit, "kraken_agent_unit"),
        user=user,
        group=primary_group(user, user),
        python=python,
        environment=environment,
        address=address or (source_address(params["server_url"]) if params["server_url"] else ""),
        extra_groups=tuple(params["extra_groups"]),
        sudo=params["sudo"],
        hardening=params["hardening"],
        unit_settings={key: str(value) for key, value in params["unit_settings"].items()},
        manager=manager,
        service_state=params["service_state"],
        enabled=params["enabled"],
        drain_seconds=drain_seconds,
        keep_versions=params["keep_versions"],
        update=environment.get(UPDATE, params["update"]),
        notifies=params["self_checking"],
        attested=params["attested"],
        fresh_nonce=params["fresh_nonce"],
        script=params["install_script"],
        ca_bundle=params.get("ca_bundle", ""),
        agent=agent,
    )
    upstream.check(spec)
    if params["state"] == "present" and spec.is_one_job:
        _check_one_job(spec)
    return spec


def _check_one_job(spec: AgentSpec) -> None:
    """Refuse a fresh agent for each job where jobs can leave things in places that nobody empties.

    Raises:
        HostError: they can.
    """
    for is_wrong, advice in (
        (spec.manager != "systemd", "it needs a systemd service, which starts the agent anew"),
        (spec.sudo, "with kraken_agent_sudo a job can leave anything anywhere; take kraken_agent_sudo out"),
        (not spec.hardening, "the unit has to keep jobs to their own directories; set kraken_agent_hardening to true"),
        (
            spec.update == "server",
            "an agent that updates itself can change its files; set kraken_agent_update to managed",
        ),
    ):
        if is_wrong:
            raise HostError(f"kraken_agent_one_job: {advice}")


def _user(params: Mapping[str, Any]) -> str:
    """Say whom the agent and its jobs run as: never root unless that was asked for.

    Raises:
        HostError: it would be root.
    """
    if os.geteuid() != 0:
        return current_user()
    user = str(params["user"])
    if params["state"] == "present" and number(user) == 0 and not params["allow_root"]:
        raise HostError(
            f"kraken_agent_user is {user}, so all jobs would run as root; leave it at kraken, or set "
            "kraken_agent_allow_root to true if that is meant"
        )
    return user


def _agent(params: Mapping[str, Any], name: str, directory: str) -> str:
    """Tell whose agent it is going to be: the one that was sent, or that of a release on the host."""
    release = params["releases"].get(name)
    if release:
        return agent_on_host(directory, release)
    return str(params.get("agent", OURS))


def _refuse_unusable(given: Iterable[Mapping[str, Any]]) -> None:
    found = [sentence for layer in given for sentence in unusable(BINARIES, layer)]
    if found:
        raise HostError(". ".join(found))


def _manager(params: Mapping[str, Any]) -> str:
    wanted = params["service_manager"]
    root = os.geteuid() == 0
    if wanted == "auto":
        return "systemd" if root and systemd.is_running() else "process"
    if wanted == "systemd" and not systemd.is_running():
        raise HostError("This host is not managed by systemd; set kraken_agent_service_manager to process")
    if wanted == "systemd" and not root:
        raise HostError(
            "A systemd service needs root; let Ansible become root (kraken_become: true), or set "
            "kraken_agent_service_manager to process"
        )
    return str(wanted)


def _refuse_twice(what: str, values: List[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise HostError(f"Two agents of this host have the same {what} {value}; see kraken_agent_instances")
