# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of `compose_agents`: looks, plans with kraken_fleet.network, then lets the host act."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.applied_settings import environment, unusable
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.container import STOP_UPSTREAM_SECONDS
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.container_address import host_and_port
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.env_file import shown
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.images import AGENT_LABEL
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import (
    COMPOSE,
    OURS,
    REPORT_SECONDS,
    UPSTREAM,
    Place,
)
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec import drain_seconds_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.agents import on_host
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import role_settings
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.container_action import ContainerAction
from dotenv import dotenv_values

from kraken_fleet.errors import FleetError, NetworkError, UsageError
from kraken_fleet.network import AgentService, ComposeFile, ComposeOverride, parse_compose, plan_override
from kraken_fleet.network.compose_override import LAB_NETWORK

_RESTART_POLICY = "unless-stopped"
_DRAIN_SECONDS = 300  # both as the module's documentation says
_HEADER = "# Written by kraken-fleet (kraken_ci.fleet.compose_agents); changes here are overwritten.\n"
# What the host sees is needed to plan but is no result: an env file holds passwords.
_PRIVATE = ("agent", "compose_text", "env_text", "override_text", "looked_at", "subnets", "running", "invocation")
_SERVER = "KRAKEN_SERVER_ADDR"
# How often to look when other deploys change the project between the look and the act.
_LOOKS = 3


class ActionModule(ContainerAction):
    """Two round trips: look, and act when there is something to do."""

    METHOD = COMPOSE
    ARGUMENTS = arguments_of("compose_agents")

    def for_module(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return {**arguments, "agents": on_host(arguments.get("agents"), "agents")}

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if arguments["role_settings"]:
            arguments["server_url"] = self._server_of_project(arguments, task_vars)
        self._task.args = arguments
        # Plain values: Ansible's own strings and dicts know their origin, and no YAML writer knows them.
        return self._settled(json.loads(json.dumps(arguments)), task_vars)

    def _settled(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        for _look in range(_LOOKS):
            result = self._looked_and_acted(arguments, task_vars)
            if result is not None:
                return result
        text = f"Other deploys have changed the agents beside {arguments['compose_file']} several times meanwhile"
        return {"failed": True, "msg": f"{text}; run this one again when they have ended"}

    def _looked_and_acted(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any] | None:
        """Return the task's result; None when another deploy came in between, so that one has to look again."""
        # Without an operation the module only looks.
        seen: dict[str, Any] = self._execute_module(task_vars=task_vars)
        if seen.get("failed"):
            return {key: value for key, value in seen.items() if key != "invocation"}
        result = {key: value for key, value in seen.items() if key not in _PRIVATE}
        try:
            decided, act = _absent(seen) if arguments.get("state") == "absent" else _present(arguments, seen)
        except (FleetError, HostError) as error:
            return {"failed": True, "msg": str(error)}
        predict = boolean(arguments.get("predict", False))
        result.update(decided, changed=bool(act) and not predict)
        result["agents"] = _agents(seen["override_text"] if predict or self._task.check_mode else decided["override"])
        del result["override"]
        if predict:
            return result
        if act and self._task.diff:
            names = {"before_header": seen["override_file"], "after_header": seen["override_file"]}
            before, after = seen["override_text"], act.get("override", "")
            result["diff"] = {"before": _shown(before, ""), "after": _shown(after, before), **names}
        if not act or self._task.check_mode:
            return result
        # The host acts only while the override file is the one that was seen: another deploy may come in between.
        act["looked_at"] = seen["looked_at"]
        act["stop_seconds"] = _stop_seconds(arguments, seen["override_text"])
        done: dict[str, Any] = self._execute_module(module_args={**arguments, **act}, task_vars=task_vars)
        done.pop("invocation", None)
        if done.get("failed"):
            return done
        return None if done.get("outdated") else result

    def _server_of_project(self, completed: Mapping[str, Any], task_vars: Mapping[str, Any]) -> str:
        """Leave the server's address to the env file, unless the agents are told another one than the controller."""
        server = str(completed.get("server_url") or "")
        own = role_settings.server_for_agents(self._templar.template(task_vars.get("kraken_server_url", "")))
        return "" if server == own else server


def _shown(text: str, old: str) -> str:
    """Return an override file as a diff may show it.

    The names of an agent's variables, and no value that somebody gave.
    """
    content, before = (yaml.safe_load(one or "{}") or {} for one in (text, old))
    earlier = before.get("services") or {}
    for name, service in (content.get("services") or {}).items():
        known = _variables(earlier.get(name) or {})
        service["environment"] = [
            f"{key}={shown(key, value, known.get(key))}" if value else key for key, value in _variables(service).items()
        ]
    return yaml.safe_dump(content, sort_keys=False) if content else ""


def _variables(service: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables by name; the value is empty for one that the env file has."""
    lines = [str(line).partition("=") for line in service.get("environment") or ()]
    return {name: value for name, _sign, value in lines}


def _absent(seen: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Do for removal what `_present` does; it returns the same."""
    changes = _changes(seen, "")
    act = {"operation": "remove", "superfluous": [*_services(seen["override_text"])]} if seen["override_text"] else {}
    return {"changes": changes, "override": ""}, act


def _present(arguments: Mapping[str, Any], seen: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the task's result says, and the module's arguments to act with, none when there is nothing to do.

    Raises:
        FleetError, HostError: it could not run.
    """
    compose = _compose_file(arguments, seen)
    planned = _plan(arguments, seen, compose)
    if planned.recreate_network and not arguments.get("recreate_network"):
        raise _needs_recreating(planned, seen)
    text = _HEADER + yaml.safe_dump(dict(planned.content), sort_keys=False)
    services = list(planned.content["services"])
    as_wanted = text == seen["override_text"] and set(services) <= set(seen["running"])
    changes = _changes(seen, text)
    if planned.recreate_network:
        changes.insert(0, f"make network {planned.network} anew")
    decided = {
        "network": planned.network,
        "network_recreated": planned.recreate_network,
        "changes": changes,
        "override": text,
    }
    if as_wanted and not planned.recreate_network:
        return decided, {}
    return decided, {
        "operation": "apply",
        "override": text,
        "services": services,
        # When all has to go down, agents do first: they may have a job to end.
        "superfluous": [
            name for name in _services(seen["override_text"]) if planned.recreate_network or name not in services
        ],
        "network": planned.network if planned.recreate_network else "",
        "project": compose.project,
    }


def _services(override: str) -> dict[str, Any]:
    """Return the agents of an override file, by name."""
    return dict((yaml.safe_load(override or "{}") or {}).get("services") or {})


def _changes(seen: Mapping[str, Any], override: str) -> list[str]:
    """Say what another override file changes, agent by agent, and the image that each had and gets."""
    before, after = _services(seen["override_text"]), _services(override)
    changes = [f"take out agent {name}" for name in before if name not in after]
    for name, service in after.items():
        old, image = before.get(name), service["image"]
        if old is None:
            changes.append(f"start agent {name} of image {image}")
        elif old != service:
            images = f" from image {old['image']} to {image}" if old["image"] != image else ""
            changes.append(f"recreate agent {name}{images}")
        elif name not in seen["running"]:
            changes.append(f"start agent {name}")
    return changes


def _agents(override: str) -> list[dict[str, str]]:
    """Return the agents of an override file as a task's result has them."""
    return [
        {
            "name": name,
            "address": str(service["networks"][LAB_NETWORK]["ipv4_address"]),
            "release": str(service["image"]),
        }
        for name, service in _services(override).items()
    ]


def _compose_file(arguments: Mapping[str, Any], seen: Mapping[str, Any]) -> ComposeFile:
    variables = dotenv_values(stream=io.StringIO(seen["env_text"]))
    return parse_compose(seen["compose_text"], variables, Path(arguments["compose_file"]))


def _plan(arguments: Mapping[str, Any], seen: Mapping[str, Any], compose: ComposeFile) -> ComposeOverride:
    network = str(compose.network(LAB_NETWORK).get("name") or f"{compose.project}_{LAB_NETWORK}")
    own_server = str(dotenv_values(stream=io.StringIO(seen["env_text"])).get(_SERVER) or "")
    agents = [_agent(arguments, one, seen["agent"], own_server) for one in arguments["agents"]]
    return plan_override(
        compose,
        agents,
        subnet=arguments.get("subnet", ""),
        image=arguments["image"],
        other_subnets={name: subnet for name, subnet in seen["subnets"].items() if name != network},
        current_subnet=seen["subnets"].get(network),
    )


def _agent(
    arguments: Mapping[str, Any], one: Mapping[str, Any], agent: str = OURS, own_server: str = ""
) -> AgentService:
    """Describe one agent by its own settings, else by those of all.

    Args:
        agent: whose it is, `ours` or `upstream`.
        own_server: the server's address in the project's env file.
    """
    given = (arguments.get("environment") or {}, one.get("environment") or {})
    if sentences := [sentence for layer in given for sentence in unusable(COMPOSE, layer)]:
        raise UsageError(". ".join(sentences))
    variables = environment(arguments, Place(COMPOSE, agent), *given)
    if agent == UPSTREAM and (_SERVER in variables or "://" in own_server):
        variables[_SERVER] = host_and_port(variables.get(_SERVER, own_server))
    own_socket = one.get("docker_socket")
    return AgentService(
        one["name"],
        one["address"],
        variables,
        docker_socket=boolean(arguments.get("docker_socket", False) if own_socket is None else own_socket),
        tools_dirs=tuple(arguments.get("tools_dirs") or ()),
        restart=str(arguments.get("restart_policy") or _RESTART_POLICY),
        stop_seconds=STOP_UPSTREAM_SECONDS
        if agent == UPSTREAM
        else drain_seconds_of(variables, _drain_seconds(arguments)) + REPORT_SECONDS,
        labels={AGENT_LABEL: UPSTREAM} if agent == UPSTREAM else {},
    )


def _drain_seconds(arguments: Mapping[str, Any]) -> int:
    return int(arguments.get("drain_seconds", _DRAIN_SECONDS))


def _stop_seconds(arguments: Mapping[str, Any], override: str) -> int:
    """Return how long the agents of an override file may take to stop: Kraken's own agent lets no job end."""
    labels = [service.get("labels") or {} for service in _services(override).values()]
    upstream = labels and all(each.get(AGENT_LABEL) == UPSTREAM for each in labels)
    return STOP_UPSTREAM_SECONDS if upstream else _drain_seconds(arguments) + REPORT_SECONDS


def _needs_recreating(planned: ComposeOverride, seen: Mapping[str, Any]) -> NetworkError:
    subnet = seen["subnets"][planned.network]
    return NetworkError(
        f"Network {planned.network} has subnet {subnet} and needs {planned.subnet}, which Docker can only give to a "
        "new network. Nothing was stopped",
        hint="Set kraken_compose_recreate_network to true to let the project go down, the network be removed, and "
        "all come up again",
    )
