"""Kraken's own command-line client, `kkci`, in a virtual environment of its own: it needs an old Click.

`make setup` runs this file; tests call `KKCI`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

PINNED = Path(__file__).parents[1] / "requirements" / "kkci.txt"
_HOME = Path(sys.prefix) / "kkci"
KKCI = _HOME / "bin" / "kkci"


def main() -> None:
    """Build its wheel with what is here already: pip would fetch the tools for that, and those without hashes."""
    pip = [sys.executable, "-m", "pip", "--quiet"]
    with tempfile.TemporaryDirectory() as wheels:
        pinned = ["--no-deps", "--no-build-isolation", "--require-hashes", "--requirement", str(PINNED)]
        subprocess.run([*pip, "wheel", "--wheel-dir", wheels, *pinned], check=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(_HOME)], check=True)
        into = ["--python", str(_HOME / "bin" / "python"), "install", "--no-index", "--no-deps"]
        subprocess.run([*pip, *into, *map(str, Path(wheels).glob("*.whl"))], check=True)


if __name__ == "__main__":
    main()
