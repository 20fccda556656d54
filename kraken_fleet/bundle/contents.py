"""What goes into each bundle: found on disk through the import system, never imported."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kraken_fleet.errors import BundleError

_PACKAGE = "kraken_agent"

# Runs first, on whatever Python the host has, so it is plain enough for all of them to understand.
_MAIN = """\
import os
import sys

if sys.version_info < (3, 8):
    sys.exit("{name} needs Python 3.8 or newer, this is %s" % sys.version.split()[0])

# A deploy makes another release current while a job goes on: what is imported later must come from this very file.
sys.path[0] = os.path.realpath(sys.path[0])

from {module} import main

if __name__ == "__main__":
    sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one bundle is made.

    Args:
        name: the file's name.
        module: has the function `main`, which returns the exit code.
        parts: what of the agent's package goes in, relative to the package; empty takes all of it.
    """

    name: str
    module: str
    parts: tuple[str, ...] = ()

    def takes(self, relative: Path) -> bool:
        return not self.parts or relative.parts[0] in self.parts


# kktool runs tools for an upstream agent too, so it gets along without the agent's own modules.
RECIPES = (
    Recipe("kkagent", "kraken_agent.cli"),
    Recipe("kktool", "kraken_agent.tools.kktool", parts=("__init__.py", "tools")),
)


def agent_package() -> Path:
    """Return the directory of the agent's package, in a checkout or in site-packages.

    Raises:
        BundleError: the package is not installed here.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise BundleError(
            f"The Python package {_PACKAGE} is not installed beside kraken_fleet",
            hint="Install kraken-fleet again: the agent is part of it",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def files_of(recipe: Recipe, package: Path) -> dict[str, bytes]:
    """Return every file of a bundle by its name in the archive, without the manifest.

    Raises:
        BundleError: a file cannot be read.
    """
    files = {"__main__.py": _MAIN.format(name=recipe.name, module=recipe.module).encode()}
    try:
        for path in _sources(package):
            relative = path.relative_to(package)
            if recipe.takes(relative):
                files[f"{_PACKAGE}/{relative.as_posix()}"] = path.read_bytes()
    except OSError as error:
        raise BundleError(f"The agent's source cannot be read: {error}", where=str(package)) from error
    return files


def version_of(package: Path) -> str:
    """Return the agent's `__version__`, read from its source.

    Raises:
        BundleError: the package does not say.
    """
    source = package / "__init__.py"
    try:
        tree = ast.parse(source.read_text(encoding="utf-8"))
    except (OSError, SyntaxError) as error:
        raise BundleError(f"The agent's version cannot be read: {error}", where=str(source)) from error
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__version__")], value=ast.Constant(value=str(version))):
                return version
    raise BundleError("The agent's package has no __version__", where=str(source))


def _sources(package: Path) -> Iterator[Path]:
    for path in package.rglob("*"):
        # Byte code depends on the Python that made it; hidden files are an editor's.
        hidden = any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(package).parts)
        if path.is_file() and not hidden and path.suffix != ".pyc":
            yield path
