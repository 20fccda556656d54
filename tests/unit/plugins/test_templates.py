"""A play's templates are filled in as Ansible does it, and Ansible is asked once for hosts that are alike."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.templates import Templates


def trusted(value: Any) -> Any:
    """Mark all texts of a value as what an inventory file has: something that Ansible runs as a template."""
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {key: trusted(one) for key, one in value.items()}
    return [trusted(one) for one in value] if isinstance(value, list) else value


VARIABLES = trusted(
    {
        "site": "oslo",
        "port": 8080,
        "on": True,
        "number": "7",
        "listing": "[1, 2]",
        "names": ["gpu", "arm64"],
        "address": "{{ ansible_host }}",
        "ansible_host": "192.0.2.1",
    }
)


def new() -> Templates:
    return Templates(Templar(DataLoader(), {}))


@pytest.mark.parametrize(
    "value",
    [
        "{{ site }}",
        "{{ number }}",
        "{{ listing }}",
        "{{ port }}",
        "{{ on }}",
        "{{ names }}",
        "{{ address }}",
        " {{ site }} ",
        "{{ site }}-{{ port }}-{{ number }}",
        "{{ site }}\n",
        "{{ site | upper }}",
        "a {# remark #} {{ site }}",
        ["{{ site }}", "plain", 3],
        {"SITE": "{{ site }}", "deep": {"list": ["{{ names[0] }}", None]}},
        {"kept": "{{ site }}", "left out": "{{ nobody | default(omit) }}"},
    ],
)
def test_a_value_is_what_ansible_makes_of_it(value: Any) -> None:
    expected = Templar(DataLoader(), VARIABLES).template(trusted(value))
    found = new().filled(trusted(value), VARIABLES)
    assert found == expected
    assert isinstance(expected, type(found))


def test_a_text_that_came_from_elsewhere_is_not_run() -> None:
    templates = new()
    assert templates.filled(trusted("{{ site | upper }}"), VARIABLES) == "OSLO"
    assert templates.filled("{{ site | upper }}", VARIABLES) == "{{ site | upper }}"
    assert templates.filled("{{ site }}", VARIABLES) == "{{ site }}"


def test_ansible_says_what_is_wrong_each_time() -> None:
    templates = new()
    for value in ("{{ nobody }}", "{{ nobody }}", ["{{ nobody }}"]):
        with pytest.raises(AnsibleError, match="'nobody' is undefined"):
            templates.filled(trusted(value), VARIABLES)


def test_what_ansible_is_asked_grows_with_the_kinds_of_hosts_not_with_hosts() -> None:
    value = trusted({"SITE": "{{ site | upper }}", "HOST": "{{ inventory_hostname }}.{{ site }}.example", "JOBS": 4})
    templates = new()
    for number in range(2000):
        host = trusted({"inventory_hostname": f"host{number}", "site": f"site{number % 4}"})
        wanted = {"SITE": f"SITE{number % 4}", "HOST": f"host{number}.site{number % 4}.example", "JOBS": 4}
        assert templates.filled(value, host) == wanted
    assert templates.asked == 4
