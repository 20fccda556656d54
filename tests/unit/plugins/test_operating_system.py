"""How Windows hosts are told from the others."""

from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.operating_system import operating_system


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "linux"),
        ({"ansible_connection": "ssh", "ansible_shell_type": "sh"}, "linux"),
        ({"ansible_connection": "winrm"}, "windows"),
        ({"ansible_connection": "ansible.builtin.psrp"}, "windows"),
        ({"ansible_connection": "ssh", "ansible_shell_type": "powershell"}, "windows"),
        ({"ansible_connection": "ssh", "ansible_shell_type": "cmd"}, "windows"),
        ({"ansible_connection": "{{ reach }}", "reach": "psrp"}, "windows"),
    ],
)
def test_a_windows_host_is_known_by_how_it_is_reached(variables: dict[str, str], expected: str) -> None:
    trusted = {name: trust_as_template(value) for name, value in variables.items()}
    assert operating_system(trusted, Templar(DataLoader(), variables=trusted)) == expected
