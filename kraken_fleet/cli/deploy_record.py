"""Lets a playbook that the command line runs write the record of its run, which the console shows."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

_CALLBACK = "kraken_ci.fleet.deploy_record"
_VARIABLE = "ANSIBLE_CALLBACKS_ENABLED"


def recorded(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which ansible-playbook writes the record, beside the callbacks that are on already."""
    enabled = environ[_VARIABLE] if _VARIABLE in environ else _of_configuration(environ)
    names = [name.strip() for name in enabled.split(",") if name.strip()]
    return {**environ, _VARIABLE: ",".join(names if _CALLBACK in names else [*names, _CALLBACK])}


def _of_configuration(environ: Mapping[str, str]) -> str:
    """Return what Ansible's configuration file says: an environment variable would outweigh it."""
    named = [Path(environ["ANSIBLE_CONFIG"])] if environ.get("ANSIBLE_CONFIG") else []
    places = [*named, Path("ansible.cfg"), Path("~/.ansible.cfg").expanduser(), Path("/etc/ansible/ansible.cfg")]
    found = next((place for place in places if place.is_file()), None)
    # As Ansible reads the file: only `;` begins a comment behind a value, and % stands for itself.
    parser = configparser.ConfigParser(inline_comment_prefixes=(";",), interpolation=None, strict=False)
    try:
        parser.read(found or [], encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return ""  # Ansible itself says what is wrong with it
    return parser.get("defaults", "callbacks_enabled", fallback="")
