# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Jinja test `known_module`."""

from __future__ import annotations

from collections.abc import Callable

from ansible.plugins.loader import action_loader, module_loader

DOCUMENTATION = r"""
name: known_module
short_description: Whether Ansible finds a module
version_added: 0.1.0
description:
  - Tells a collection that is not installed before a task of it is met, which would end the play for all hosts.
options:
  _input:
    description: A module's full name.
    type: str
    required: true
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Say what is missing
  ansible.builtin.fail:
    msg: Install the collection ansible.windows
  when: "'ansible.windows.win_service' is not kraken_ci.fleet.known_module"
"""

RETURN = r"""
_value:
  description: Whether it is there.
  type: bool
"""


def known_module(name: str) -> bool:
    """Say whether a task may name this module."""
    return bool(action_loader.has_plugin(name) or module_loader.has_plugin(name))


class TestModule:
    """What Ansible looks for in a file of tests."""

    def tests(self) -> dict[str, Callable[[str], bool]]:
        return {"known_module": known_module}
