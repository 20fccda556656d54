"""The environment in which Ansible's programs are asked about an inventory: what they print is read by a program."""

from __future__ import annotations

import os

# Whatever an ansible.cfg says: an environment variable outweighs it. What says how to read an inventory stays.
_PLAIN = {
    "ANSIBLE_VERBOSITY": "0",
    "ANSIBLE_DEBUG": "0",
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_FORCE_COLOR": "0",
    "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0",
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
    "ANSIBLE_STRATEGY": "ansible.builtin.linear",
    "ANSIBLE_LOCALHOST_WARNING": "0",
    # Of --limit: a name that is mistyped must not make an empty fleet, or leave nobody out.
    "ANSIBLE_HOST_PATTERN_MISMATCH": "error",
}


def ansible_environment() -> dict[str, str]:
    """This process's environment, with Ansible's output as plain as its default."""
    return {**os.environ, **_PLAIN}
