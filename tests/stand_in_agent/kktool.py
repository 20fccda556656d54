"""The stand-in's kktool: shell steps only. It is run as `/opt/kraken/kktool -s STEP_FILE COMMAND`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def main() -> int:
    if sys.argv[1:] == ["check-integrity"]:
        sys.stdout.write("All is ok\n")
        return 0
    step = json.loads(Path(sys.argv[sys.argv.index("-s") + 1]).read_text(encoding="utf-8"))
    if step["tool"] != "shell":
        sys.stdout.write(f"the stand-in has no tool {step['tool']}\n")
        return 1
    return subprocess.run(step["cmd"], shell=True, check=False).returncode  # noqa: S602 as Kraken's own tool does


if __name__ == "__main__":
    sys.exit(main())
