# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that a host runs: modules of module_utils, and what they are called with, as one Python text."""

from __future__ import annotations

import base64
import json
import marshal
import zlib
from collections.abc import Mapping
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import Any

_MODULE_UTILS = Path(__file__).resolve().parents[2] / "module_utils"
_PACKAGE = "kraken_fleet_on_host"
# Fast rather than small: the connection compresses as well.
_LEVEL = 1


def program_of(module: str, environment: Mapping[str, str], parameters: Mapping[str, Any]) -> str:
    """Return a Python program that calls `answer` of a module of module_utils on a host.

    Args:
        module: its name below module_utils (`host.task`).
        environment: variables that it runs with. Here they are in no command line, for a proxy may have a password.
        parameters: what it gets: numbers, texts, lists and dictionaries.
    """
    call = (*_modules(), f"{_PACKAGE}.{module}", dict(environment), dict(parameters))
    # What ascii() makes of such values is Python that gives them back, whatever the host takes its input for.
    return f"{beginning()}\n\nrun{call!a}\n"


@cache
def beginning() -> str:
    """Return the text that imports what comes along, and defines `run`."""
    return (_MODULE_UTILS / "host_program.py").read_text(encoding="utf-8")


@cache
def _modules() -> tuple[str, str, str]:
    """Return the modules that hosts run: as sources; compiled; and for which Python.

    A host with the controller's version of Python need not compile them, which takes longer than all that it does then.
    """
    paths = {_name(path): path for path in sorted(_MODULE_UTILS.glob("host/*.py"))}
    sources = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    compiled = {name: SourceFileLoader(name, str(path)).get_code(name) for name, path in paths.items()}
    as_text = json.dumps({_PACKAGE: "", **sources}).encode("ascii")
    as_code = marshal.dumps({_PACKAGE: compile("", _PACKAGE, "exec"), **compiled})
    return _packed(as_text), _packed(as_code), MAGIC_NUMBER.hex()


def _packed(modules: bytes) -> str:
    return base64.b64encode(zlib.compress(modules, _LEVEL)).decode("ascii")


def _name(path: Path) -> str:
    parts = path.relative_to(_MODULE_UTILS).with_suffix("").parts
    return ".".join([_PACKAGE, *(part for part in parts if part != "__init__")])


# Made here and kept: this file is imported before Ansible forks a process for each host.
beginning()
_modules()
