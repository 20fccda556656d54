"""A value of another type in a task or in a role's variable: one message that names it, and shows no secret."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import DOCKER, WINDOWS
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import role_settings

from kraken_fleet.errors import UsageError
from tests.unit.plugins.task_runs import Stage

COLLECTION = "kraken_ci.fleet"
IMAGE = "registry.example.com/kkagent:1.0"
SERVER = {"server_url": "http://127.0.0.1:9"}
SECRET = "sehr-geheim"
ONE = {"name": "a", "address": "172.20.0.11"}
COMPOSE = {"compose_file": "/nowhere/compose.yaml", "image": IMAGE}
CONTAINER = {**SERVER, "image": IMAGE}


class PlainTemplar:
    """Variables without templates stay as they are."""

    def template(self, value: Any) -> Any:
        return value


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("agent_container", {**CONTAINER, "environment": [f"TOKEN={SECRET}"]}, "environment is not a dictionary"),
    ("agent_container", {**CONTAINER, "environment": 5}, "environment is not a dictionary"),
    ("agent_container", {**CONTAINER, "role_settings": "perhaps"}, "role_settings is not yes or no"),
    ("agent_container", {**CONTAINER, "drain_seconds": "soon"}, "'drain_seconds' is of type str"),
    ("agent_container", {**CONTAINER, "state": "presnt"}, "must be one of: present, absent, got: presnt"),
    ("compose_agents", {**COMPOSE, "environment": [SECRET]}, "environment is not a dictionary"),
    ("compose_agents", {**COMPOSE, "agents": {"a": SECRET}}, "agents is not a list"),
    ("compose_agents", {**COMPOSE, "agents": [{**ONE, "environment": 5}]}, "'agents'"),
    ("compose_agents", {**COMPOSE, "predict": "maybe"}, "'predict' is of type str"),
    ("agent_host", {**SERVER, "environment": [SECRET]}, "environment is not a dictionary"),
    ("agent_host", {**SERVER, "instances": {"a": SECRET}}, "instances is not a list"),
    ("agent_host", {**SERVER, "instances": [{**ONE, "environment": 5}]}, "'instances'"),
    ("agent_host", {**SERVER, "role_settings": "perhaps"}, "role_settings is not yes or no"),
    ("agent_host", {**SERVER, "drain_seconds": "soon", "environment": {"A": SECRET}}, "'drain_seconds' is of type str"),
]


def test_a_value_of_another_type_is_named_in_one_message(stage: Stage) -> None:
    answers = stage.play(*({f"{COLLECTION}.{module}": arguments} for module, arguments, _ in WRONG))
    for (_, _, said), answer in zip(WRONG, answers, strict=True):
        assert said in answer["msg"]
        assert "has no attribute" not in answer["msg"]


def test_what_is_said_of_a_wrong_type_shows_no_secret(stage: Stage) -> None:
    # In a file of its own: Ansible shows the lines of a playbook in which a task failed.
    given = {f"given{number}": arguments for number, (_, arguments, _) in enumerate(WRONG)}
    (stage.folder / "given.yml").write_text(yaml.safe_dump(given))
    tasks = [
        {
            f"{COLLECTION}.{module}": {name: f"{{{{ given{number}.{name} }}}}" for name in arguments},
            "ignore_errors": True,
        }
        for number, (module, arguments, _) in enumerate(WRONG)
    ]
    book = stage.folder / "book.yml"
    book.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    run = stage.run(["ansible-playbook", "-vvv", "-e", "@given.yml", str(book)])
    output = run.stdout + run.stderr
    assert output.count("...ignoring") == len(WRONG), output
    assert SECRET not in output


@pytest.mark.parametrize("method", [DOCKER, WINDOWS])
@pytest.mark.parametrize(
    ("variable", "value", "read"),
    [
        ("kraken_agent_environment", "A=1 B=2", {"A": "1", "B": "2"}),
        ("kraken_agent_environment", '{"A": 1}', {"A": 1}),
        ("kraken_agent_tools_dirs", "/a,/b", ["/a", "/b"]),
        ("kraken_agent_drain_seconds", "60", "60"),
    ],
)
def test_a_text_of_an_ini_inventory_is_read_as_ansible_reads_it(
    method: str, variable: str, value: object, read: object
) -> None:
    found = role_settings.values({variable: value}, PlainTemplar())
    assert found == {variable: read}
    options = role_settings.completed(method, {"role_settings": True}, {variable: value}, PlainTemplar())
    option = variable.removeprefix("kraken_agent_")
    assert options[option] == read


@pytest.mark.parametrize(
    ("variable", "value"), [("kraken_agent_environment", [SECRET]), ("kraken_agent_tools_dirs", {SECRET: 1})]
)
def test_a_variable_of_another_type_is_named_without_its_value(variable: str, value: object) -> None:
    with pytest.raises(UsageError) as raised:
        role_settings.values({variable: value}, PlainTemplar())
    assert str(raised.value).startswith(f"{variable} is not a ")
    assert SECRET not in str(raised.value)
