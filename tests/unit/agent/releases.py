"""Files of agents for tests of updates: our own under any version, and ones that are no good."""

from __future__ import annotations

import shutil
from pathlib import Path

from kraken_fleet.bundle.archive import pack
from kraken_fleet.bundle.contents import RECIPES, files_of

AGENT_SOURCE = Path(__file__).resolve().parents[3] / "agent"


def own_release(tmp_path: Path, version: str) -> dict[str, bytes]:
    """kkagent and kktool that call themselves by a version, by their names at the server."""
    package = tmp_path / f"source-{version}" / "kraken_agent"
    shutil.copytree(AGENT_SOURCE / "kraken_agent", package, ignore=shutil.ignore_patterns("__pycache__"))
    init = package / "__init__.py"
    text = init.read_text()
    init.write_text(text[: text.index("__version__")] + f'__version__ = "{version}"\n')
    return {f"/install/{recipe.name[2:]}": pack(recipe.name, version, files_of(recipe, package)) for recipe in RECIPES}


def liar(main: str) -> bytes:
    """A file that finds itself complete, whatever it does otherwise."""
    code = f"import sys\nif sys.argv[1] == 'check-integrity':\n    sys.exit(0)\n{main}\n"
    return pack("kkagent", "9", {"__main__.py": code.encode()})
