"""Which templates are filled in without Ansible, and on what the others depend."""

from __future__ import annotations

import pytest

from kraken_fleet.inventory.substitution import UNKNOWN, kind_of, substituted

VARIABLES: dict[str, object] = {
    "site": "oslo",
    "port": 8080,
    "on": True,
    "number": "7",
    "names": ["gpu", "arm64"],
    "table": {"a": 1},
    "address": "{{ ansible_host }}",
    "ansible_host": "192.0.2.1",
    "round": "{{ about }}",
    "about": "{{ round }}",
    "sealed": {"__ansible_vault": "..."},
    "filtered": "{{ site | upper }}",
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("{{ site }}", "oslo"),
        ("{{site}}", "oslo"),
        ("build-{{ site }}-{{ port }}", "build-oslo-8080"),
        ("{{ port }}", 8080),
        ("{{ on }}", True),
        ("{{ number }}", "7"),
        ("{{ names }}", ["gpu", "arm64"]),
        ("{{ address }}", "192.0.2.1"),
    ],
)
def test_a_template_that_only_names_variables_is_filled_in(text: str, value: object) -> None:
    assert substituted(text, VARIABLES) == value
    assert type(substituted(text, VARIABLES)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ nobody }}",
        "{{ site | upper }}",
        "{{ filtered }}",
        "{{ 'site' }}",
        "{{ table.a }}",
        "{{ table }}",
        "{{ sealed }}",
        "{{ none }}",
        "{{ on }} or off",
        "{{{ site }}}",
        "{{ site }} {# said twice #}",
        "{% if on %}{{ site }}{% endif %}",
        "{{ site }}\n",
        "{{- site }}",
        "{{ round }}",
        "#jinja2: trim_blocks: false\n{{ site }}",
    ],
)
def test_anything_more_is_left_to_ansible(text: str) -> None:
    assert substituted(text, VARIABLES) is UNKNOWN


def test_a_text_that_must_not_be_run_is_left_alone() -> None:
    assert substituted("{{ site }}", VARIABLES, lambda _text: False) is UNKNOWN
    assert substituted("{{ address }}", VARIABLES, lambda text: text != "{{ ansible_host }}") is UNKNOWN


def test_hosts_with_the_same_values_are_of_one_kind() -> None:
    template = "{{ site | upper }} {{ address }}"
    same = kind_of(template, {**VARIABLES, "other": 1})
    assert same is not None
    assert kind_of(template, VARIABLES) == same
    assert kind_of(template, {**VARIABLES, "ansible_host": "192.0.2.2"}) != same
    assert kind_of(template, {**VARIABLES, "site": "berlin"}) != same
    assert kind_of("{{ site }}", {}) != kind_of("{{ site }}", VARIABLES)
    assert kind_of(template, VARIABLES, lambda _text: False) != same


@pytest.mark.parametrize(
    "text",
    [
        "{{ lookup('ansible.builtin.file', site) }}",
        "{{ hostvars['one'].site }}",
        "{{ 9 | random }}",
        "{{ inventory_hostname | upper }}",
    ],
)
def test_what_may_depend_on_more_is_of_no_kind(text: str) -> None:
    assert kind_of(text, VARIABLES) is None


def test_a_name_that_the_variables_have_is_of_a_kind() -> None:
    named = [{**VARIABLES, "inventory_hostname": name} for name in ("one", "two")]
    first, second = (kind_of("{{ inventory_hostname | upper }}", one) for one in named)
    assert None not in (first, second)
    assert first != second
