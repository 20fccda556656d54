"""The files that a lab writes for Ansible and for people: inventory, configuration, password, environment."""

from __future__ import annotations

import configparser
import os
import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml

from kraken_fleet.collection import collection_root
from kraken_fleet.lab.driver import LabHost
from kraken_fleet.lab.state import ADMIN, LabPaths

_PASSWORD_BYTES = 18
# Ansible's own, and: a host that hangs while a connection to it is open is given up, and not waited for.
_SSH_ARGS = "-C -o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=5 -o ServerAliveCountMax=3"


def host_names(count: int) -> list[str]:
    """Return what the hosts of a lab are called: every third one is a test host, the others build."""
    return [f"{'test' if number % 3 == 2 else 'build'}-{number + 1}" for number in range(count)]


def write_password(paths: LabPaths) -> None:
    """Make up the administrator's password, for the eyes of this user only."""
    # The mode is given when the file is made: after a chmod somebody may have opened it already.
    handle = os.open(paths.password, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secrets.token_urlsafe(_PASSWORD_BYTES) + "\n")


def write_inventory(paths: LabPaths, hosts: Sequence[LabHost], server_url: str) -> None:
    """Write the inventory: hosts, the inventory groups that put them into agents groups, and the server."""
    groups: dict[str, list[str]] = {}
    for host in hosts:
        groups.setdefault(f"kraken_group_{host.name.partition('-')[0]}", []).append(host.name)
    inventory = {
        "kraken_agents": {
            "hosts": {host.name: dict(host.variables) for host in hosts},
            "vars": {
                "kraken_agent_bundle": str(paths.bundles),
                "kraken_server_url": server_url,
                "kraken_server_user": ADMIN,
                "kraken_server_password": f"{{{{ lookup('ansible.builtin.file', {str(paths.password)!r}) }}}}",
            },
        },
        **{name: {"hosts": {member: {} for member in members}} for name, members in sorted(groups.items())},
    }
    paths.inventory.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")


def write_ansible_config(paths: LabPaths) -> None:
    """Write an ansible.cfg with which playbooks also run by hand, and which keeps their traces in the lab."""
    settings = {
        "home": paths.directory / "ansible",
        "forks": 25,
        # Ansible's own loop sleeps as long between two looks at its workers; the default of 0.001 s costs CPU that the
        # agents of a lab need.
        "internal_poll_interval": 0.005,
        "inventory": paths.inventory,
        # Without the warning that another Python may be installed later: a lab's hosts live for an hour.
        "interpreter_python": "auto_silent",
        "localhost_warning": False,
        "display_skipped_hosts": False,
        "callbacks_enabled": "kraken_ci.fleet.deploy_record",
        **collections_setting(),
    }
    sections: dict[str, dict[str, object]] = {
        "defaults": settings,
        "connection": {"pipelining": True},
        "ssh_connection": {"ssh_args": _SSH_ARGS},
    }
    config = configparser.RawConfigParser()
    config.read_dict(sections)
    with paths.ansible_config.open("w", encoding="utf-8") as file:
        config.write(file)


def write_environment(paths: LabPaths, server_url: str) -> None:
    """Write what a shell sources, so that `kraken-fleet` and `ansible-playbook` talk to this lab."""
    variables = {
        "KRAKEN_FLEET_SERVER": server_url,
        "KRAKEN_FLEET_USER": ADMIN,
        "KRAKEN_FLEET_PASSWORD_FILE": paths.password,
        "ANSIBLE_CONFIG": paths.ansible_config,
    }
    lines = [f"export {name}={shlex.quote(str(value))}\n" for name, value in variables.items()]
    paths.environment.write_text("".join(lines), encoding="utf-8")


def collections_setting() -> dict[str, Path]:
    """In a checkout Ansible has to be told where the collection is; in site-packages it looks by itself."""
    collections = collection_root() / "collections"
    return {"collections_path": collections} if collections.is_dir() else {}
