"""Kraken's own command-line client, `kkci`, in a virtual environment of its own: it needs an old Click.

`make setup` runs this file; tests call `KKCI`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REQUIREMENT = "krakenci-client==1.7.36"
_HOME = Path(sys.prefix) / "kkci"
KKCI = _HOME / "bin" / "kkci"


def main() -> None:
    if not KKCI.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(_HOME)], check=True)
        subprocess.run([_HOME / "bin" / "pip", "install", "--quiet", REQUIREMENT], check=True)


if __name__ == "__main__":
    main()
