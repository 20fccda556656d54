# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The templates of a play's variables, filled in: each once for all hosts on which it depends on the same values."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.template import Templar, is_trusted_as_template

from kraken_fleet.inventory.substitution import UNKNOWN, is_plain, kind_of, substituted

FAULTS = (AnsibleError, TypeError, ValueError)
"""What filling in may raise."""


class Templates:
    """Fills in values, with the variables of one host after another.

    Args:
        templar: the task's. Ansible compiles a template each time anew, so that it is asked as little as can be.
    """

    def __init__(self, templar: Templar) -> None:
        self._templar = templar
        self._known: dict[Hashable, Any] = {}
        self.asked = 0
        """How often Ansible had to fill in a value."""

    def filled(self, value: Any, variables: dict[str, Any]) -> Any:
        """Return a value with its templates filled in.

        Plain values: Ansible's own know where they come from, which no dataclass or YAML writer wants.

        Args:
            variables: all of the host's, as they are written.

        Raises:
            AnsibleError, TypeError, ValueError: a template in it cannot be filled in.
        """
        if is_plain(value):
            return json.loads(json.dumps(value))
        if isinstance(value, str):
            return self._text(value, variables)
        # A dictionary loses the entries whose value is `omit`, which only Ansible knows how to do.
        if isinstance(value, Mapping | list) and "omit" not in str(value):
            try:
                return self._each(value, variables)
            except FAULTS:
                pass  # Ansible's own words about the whole value say more of it
        return self._ask(value, variables)

    def _each(self, value: Any, variables: dict[str, Any]) -> Any:
        if isinstance(value, Mapping):
            return {str(key): self._each(one, variables) for key, one in value.items()}
        if isinstance(value, list):
            return [self._each(one, variables) for one in value]
        return self.filled(value, variables)

    def _text(self, text: str, variables: dict[str, Any]) -> Any:
        simple = substituted(text, variables, is_trusted_as_template)
        if simple is not UNKNOWN:
            return json.loads(json.dumps(simple))
        kind = kind_of(text, variables, is_trusted_as_template)
        if kind is None:
            return self._ask(text, variables)
        if kind not in self._known:
            try:
                self._known[kind] = self._ask(text, variables)
            except FAULTS as error:
                self._known[kind] = error
        known = self._known[kind]
        if isinstance(known, Exception):
            raise known
        return known

    def _ask(self, value: Any, variables: dict[str, Any]) -> Any:
        self.asked += 1
        templar = self._templar.copy_with_new_env(available_variables=variables)
        return json.loads(json.dumps(templar.template(value)))
