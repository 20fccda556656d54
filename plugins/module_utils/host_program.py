"""The beginning of a program that the controller sends to a host: imports the modules that come along.

It is sent as it stands, with a call of `run` below it; see plugin_utils/host/program.py. Standard library only, for
Python 3.8.
"""

from __future__ import annotations

import base64
import importlib
import json
import marshal
import os
import sys
import zlib
from importlib.machinery import ModuleSpec
from importlib.util import MAGIC_NUMBER
from typing import Any, Mapping, Optional

ANSWER = "kraken-fleet: answer="


class _Sent:
    """An importer of modules that came along: nothing is written to the host to be read again."""

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        if name not in self._modules:
            return None
        is_package = any(other.startswith(name + ".") for other in self._modules)
        return ModuleSpec(name, self, is_package=is_package)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python how a module is made."""

    def exec_module(self, module: Any) -> None:
        code = self._modules[module.__name__]
        if isinstance(code, str):
            code = compile(code, f"<{module.__name__}>", "exec", dont_inherit=True)
        # What is run is part of the very program that runs it.
        exec(code, module.__dict__)  # noqa: S102


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def run(
    sources: str,
    compiled: str,
    compiled_for: str,
    module: str,
    environment: Mapping[str, str],
    parameters: Mapping[str, Any],
) -> None:
    """Call the function `answer` of a module and write what it returns in one line.

    Args:
        sources: the modules as text by their full names, packed.
        compiled: the same as code of Python, packed.
        compiled_for: the mark of the version of Python that the code is for, as it stands in .pyc files.
        module: one of them.
        environment: variables to set, such as proxies.
        parameters: what the function gets.
    """
    os.environ.update(environment)
    # Files say their modes themselves; a profile's stricter mask would keep the agent's account from its own program.
    os.umask(0o022)
    if compiled_for == MAGIC_NUMBER.hex():
        # They come from where this very text comes from.
        modules = marshal.loads(_unpacked(compiled))  # noqa: S302
    else:
        modules = json.loads(_unpacked(sources))
    sys.meta_path.append(_Sent(modules))
    try:
        answer = importlib.import_module(module).answer(parameters)
    except Exception:  # noqa: BLE001
        import traceback

        # From here on only: Python's own traceback would show the line of the call, with all that it hands over.
        traceback.print_exc()
        raise SystemExit(1) from None
    sys.stdout.write(ANSWER + json.dumps(answer) + "\n")
