"""The controller's half of `compose_agents`: looks, plans with kraken_fleet.network, then lets the host act."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.action import ActionBase
from dotenv import dotenv_values

from kraken_fleet.errors import FleetError
from kraken_fleet.network import AgentService, ComposeOverride, parse_compose, plan_override
from kraken_fleet.network.compose_override import LAB_NETWORK

_HEADER = "# Written by kraken-fleet (kraken_ci.fleet.compose_agents); changes here are overwritten.\n"
# What the host sees is needed to plan but is no result: an env file holds passwords.
_PRIVATE = ("compose_text", "env_text", "override_text", "subnets", "running", "invocation")

_SERVER_SIDE = ("groups", "groups_mode", "enabled", "system", "executors")


class ActionModule(ActionBase):
    """Two round trips: look, and act when there is something to do."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        self._task.args["agents"] = [_on_host(one) for one in self._task.args.get("agents") or ()]
        seen: dict[str, Any] = self._execute_module(task_vars=task_vars)
        if seen.get("failed"):
            return seen
        # Plain values: Ansible's own strings and dicts know their origin, and no YAML writer knows them.
        arguments = json.loads(json.dumps(self._task.args))
        try:
            planned = _plan(arguments, seen)
        except FleetError as error:
            return {"failed": True, "msg": str(error)}
        return self._carry_out(arguments, seen, planned, task_vars)

    def _carry_out(
        self,
        arguments: dict[str, Any],
        seen: dict[str, Any],
        planned: ComposeOverride,
        task_vars: dict[str, Any] | None,
    ) -> dict[str, Any]:
        text = _HEADER + yaml.safe_dump(dict(planned.content), sort_keys=False)
        changed = text != seen["override_text"] or not set(planned.content["services"]) <= set(seen["running"])
        result = {key: value for key, value in seen.items() if key not in _PRIVATE}
        result.update(changed=changed, network=planned.network, network_recreated=planned.recreate_network)
        if self._task.diff:
            names = {"before_header": seen["override_file"], "after_header": seen["override_file"]}
            result["diff"] = {"before": seen["override_text"], "after": text, **names}
        if planned.recreate_network and not arguments.get("recreate_network"):
            return {**result, "failed": True, "changed": False, "msg": _needs_recreating(planned, seen)}
        if (not changed and not planned.recreate_network) or self._task.check_mode:
            return result
        network = planned.network if planned.recreate_network else ""
        act = {**arguments, "operation": "apply", "override": text, "network": network}
        done: dict[str, Any] = self._execute_module(module_args=act, task_vars=task_vars)
        return done if done.get("failed") else {**result, "changed": True}


def _on_host(agent: Any) -> Any:
    """An entry of kraken_agent_instances without what only registration needs."""
    if not isinstance(agent, Mapping):
        return agent  # the module says what is wrong with it
    return {key: value for key, value in agent.items() if key not in _SERVER_SIDE}


def _plan(arguments: dict[str, Any], seen: dict[str, Any]) -> ComposeOverride:
    variables = dotenv_values(stream=io.StringIO(seen["env_text"]))
    compose = parse_compose(seen["compose_text"], variables, Path(arguments["compose_file"]))
    network = str(compose.network(LAB_NETWORK).get("name") or f"{compose.project}_{LAB_NETWORK}")
    agents = [
        AgentService(one["name"], one["address"], one.get("environment") or {}, one.get("docker_socket", True))
        for one in arguments["agents"]
    ]
    return plan_override(
        compose,
        agents,
        subnet=arguments["subnet"],
        image=arguments["image"],
        other_subnets={name: subnet for name, subnet in seen["subnets"].items() if name != network},
        current_subnet=seen["subnets"].get(network),
    )


def _needs_recreating(planned: ComposeOverride, seen: dict[str, Any]) -> str:
    return (
        f"network {planned.network} has subnet {seen['subnets'][planned.network]} and needs {planned.subnet}, which "
        "Docker can only give to a new network. Nothing was stopped. Set kraken_compose_recreate_network to true to "
        "let the project go down, the network be removed, and all come up again"
    )
