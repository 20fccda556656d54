"""Names and types of variables, said alike to the command line and to plays."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from kraken_fleet.collection import variables
from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import problems_of_host, types
from kraken_fleet.inventory.check import raise_if_any

VALUES: list[object] = [
    *("", "soon", "5", "5.0", "5.5", "yes", "maybe", "a,b", '{"a": 1}', "a=1", "{a", "no"),
    *(5, 5.0, 5.5, 0, 1, True, False, [], ["a"], ["b", 1], {}, {"a": 1}),
]
OPTIONS: list[dict[str, Any]] = [
    {"type": "str"},
    {"type": "path"},
    {"type": "int"},
    {"type": "float"},
    {"type": "bool"},
    {"type": "list"},
    {"type": "list", "elements": "int"},
    {"type": "list", "elements": "str", "choices": ["a", "b"]},
    {"type": "dict"},
    {"type": "dict", "options": {"a": {"type": "int", "required": True}}},
    {"type": "raw"},
    {"type": "str", "choices": ["a", "no"]},
]


def _is_stricter(value: object, option: dict[str, Any]) -> bool:
    """Tell where less is let through than Ansible does; the docstring of the module `types` names these cases."""
    if option["type"] == "list" and isinstance(value, list):
        return any(_is_stricter(item, {"type": option.get("elements", "raw")}) for item in value)
    if option["type"] in ("str", "path"):
        return isinstance(value, list | dict)
    return option["type"] in ("int", "float", "list") and isinstance(value, bool)


def _ansible_takes(value: object, option: dict[str, Any]) -> bool:
    try:
        return not ArgumentSpecValidator({"x": option}).validate({"x": value}).error_messages
    except TypeError:  # it fails so over a number in place of a dictionary
        return False


@pytest.mark.parametrize("option", OPTIONS, ids=str)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_fits_a_type_when_ansible_takes_it(value: object, option: dict[str, Any]) -> None:
    fits = not list(types.problems(value, option))
    assert fits == (_ansible_takes(value, option) and not _is_stricter(value, option))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("kraken_agent_drain_seconds", "soon", "'soon' is not a whole number"),
        ("kraken_agent_hardening", "maybe", "'maybe' is not yes or no"),
        ("kraken_agent_tools_dirs", {"a": 1}, "{'a': 1} is not a list"),
        ("kraken_agent_environment", ["TOKEN=abc"], "the value, which may hold a secret, is no dict"),
        ("kraken_agent_user", ["root"], "['root'] is not a text"),
        (
            "kraken_registration_trust",
            "inventroy",
            "'inventroy' is not one of inventory, attested, cidr, rules (did you mean inventory?)",
        ),
        (
            "kraken_agent_instances",
            [{"name": "a", "address": "10.0.0.1", "environment": 5}],
            "the value, which may hold a secret, is no dict",
        ),
        ("kraken_agent_instances", [{"name": "a", "environment": {"TOKEN": "abc"}}], "{'name': 'a'} has no address"),
        (
            "kraken_registration_turst",
            "inventory",
            "There is no such variable. Did you mean kraken_registration_trust?",
        ),
        ("kraken_sevrer_url", "http://x", "There is no such variable. Did you mean kraken_server_url?"),
        ("kraken_xyz", 1, "There is no such variable. The README files of the roles list the variables"),
    ],
)
def test_what_is_wrong_is_said_with_host_and_variable(name: str, value: object, said: str) -> None:
    (problem,) = problems_of_host("web1", {name: value})
    assert str(problem).startswith(f"host web1, variable {name}")
    assert str(problem).endswith(f": {said}")


@pytest.mark.parametrize("value", [None, "{{ later }}", {"__ansible_vault": "x"}, {"__ansible_unsafe": "{{ x"}])
def test_what_only_ansible_can_read_is_passed_over(value: object) -> None:
    assert list(problems_of_host("web1", {"kraken_agent_drain_seconds": value})) == []
    environment = {"kraken_agent_environment": {"JOBS": value}, "kraken_agent_tools_dirs": [value]}
    assert list(problems_of_host("web1", environment)) == []


def test_variables_of_others_are_no_concern() -> None:
    assert list(problems_of_host("web1", {"nginx_port": "x", "krakenci": 1, "__kraken_upgrade_bad": {}})) == []


def test_the_default_of_every_variable_fits_its_type() -> None:
    given = {name: option["default"] for name, option in variables().items() if "default" in option}
    # An empty address stands for the one that the host's routes choose.
    assert [problem.variable for problem in problems_of_host("web1", given)] == ["kraken_agent_address"]


def test_several_problems_are_told_together_and_one_of_many_hosts_once() -> None:
    def found() -> list[InventoryError]:
        return [
            problem
            for host in ("a", "b", "c")
            for problem in problems_of_host(host, {"kraken_verify_timeout": "x", "kraken_verify_tiemout": 1})
        ]

    with pytest.raises(InventoryError) as caught:
        raise_if_any(found())
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("There are 2 problems:")
    assert lines[1].startswith("host a, variable kraken_verify_tiemout: There is no such variable. It is the same on 2")
    assert (
        lines[2] == "host a, variable kraken_verify_timeout: 'x' is not a whole number. It is the same on 2 other hosts"
    )
    assert len(caught.value.problems) == 2
