"""The beginning of a program that the controller sends to a host: imports the modules that come along as text.

It is sent as it stands, with a call of `run` below it; see plugin_utils/host/action.py. Standard library only, for
Python 3.8.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from importlib.machinery import ModuleSpec
from typing import Any, Mapping, Optional

ANSWER = "kraken-fleet: answer="


class _Sent:
    """An importer of modules that are text in memory: nothing is written to the host to be read again."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        if name not in self._sources:
            return None
        is_package = any(other.startswith(name + ".") for other in self._sources)
        return ModuleSpec(name, self, is_package=is_package)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python how a module is made."""

    def exec_module(self, module: Any) -> None:
        name = module.__name__
        # What is run is part of the very program that runs it.
        exec(compile(self._sources[name], f"<{name}>", "exec", dont_inherit=True), module.__dict__)  # noqa: S102


def run(sources: Mapping[str, str], module: str, environment: Mapping[str, str], parameters: Mapping[str, Any]) -> None:
    """Call the function `answer` of a module and write what it returns in one line.

    Args:
        sources: text of modules, by their full names.
        module: one of them.
        environment: variables to set, such as proxies.
        parameters: what the function gets.
    """
    os.environ.update(environment)
    # Files say their modes themselves; a profile's stricter mask would keep the agent's account from its own program.
    os.umask(0o022)
    sys.meta_path.append(_Sent(sources))
    try:
        answer = importlib.import_module(module).answer(parameters)
    except Exception:  # noqa: BLE001
        import traceback

        # From here on only: Python's own traceback would show the line of the call, with all that it hands over.
        traceback.print_exc()
        raise SystemExit(1) from None
    sys.stdout.write(ANSWER + json.dumps(answer) + "\n")
