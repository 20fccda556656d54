"""`module_defaults` of a play: what a group of modules is given at once reaches each of them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of

from tests.unit.plugins.task_runs import ROOT, Stage

GROUPS = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["action_groups"]
# These share no option with another module.
ALONE = {"agent_settings", "deploy_results", "validate_inventory"}


def _modules(group: str) -> list[str]:
    found = []
    for one in GROUPS[group]:
        if isinstance(one, str):
            found.append(one)
        else:
            found += [name for other in one["metadata"]["extend_group"] for name in _modules(other)]
    return sorted(found)


def test_each_module_is_in_a_group_or_shares_no_option() -> None:
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
    assert {name for group in GROUPS for name in _modules(group)} == modules - ALONE


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_the_modules_of_a_group_share_options(group: str) -> None:
    assert set.intersection(*(set(arguments_of(module)) for module in _modules(group))) - {"state"}


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_each_module_of_a_group_is_given_the_groups_defaults(stage: Stage, group: str) -> None:
    """Each refuses the default that it does not know, and so has been given it."""
    tasks = [{f"kraken_ci.fleet.{module}": _required(module)} for module in _modules(group)]
    told = stage.play(*tasks, module_defaults={f"group/kraken_ci.fleet.{group}": {"nobody_knows_this": 1}})
    for module, result in zip(_modules(group), told, strict=True):
        assert result["failed"], module
        assert "nobody_knows_this" in result["msg"], f"{module}: {result['msg']}"


def _required(module: str) -> dict[str, Any]:
    empty: dict[str, Any] = {"list": [], "dict": {}, "path": "/", "str": "x"}
    return {name: empty[spec["type"]] for name, spec in arguments_of(module).items() if spec.get("required")}


def test_a_play_names_the_server_once_for_all_its_tasks(stage: Stage) -> None:
    account = {
        "server_url": stage.server.url,
        "server_user": stage.server.user,
        "server_password": stage.server.password,
    }
    made, found = stage.play(
        {"kraken_ci.fleet.agent_group": {"name": "named-once"}},
        {"kraken_ci.fleet.agent_group_info": {"groups": ["named-once"]}},
        module_defaults={"group/kraken_ci.fleet.fleet": account},
        KRAKEN_FLEET_SERVER="",
        KRAKEN_FLEET_USER="",
        KRAKEN_FLEET_PASSWORD="",
    )
    assert made["changed"], made
    assert [group["name"] for group in found["groups"]] == ["named-once"]
