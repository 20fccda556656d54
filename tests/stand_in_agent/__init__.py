"""An agent with the fixed habits of Kraken's own one (kkagent 1.7.36), written from what was seen of it.

Kraken's own agent is in no package registry. Tests of hosts with another agent than kraken-fleet's install this one. It
has the habits that matter to a provisioner:

- It runs `/opt/kraken/kktool`, whatever directory it was started from.
- It unpacks itself below `~/.shiv` and does not start without a writable home.
- Before each job it runs `sudo rm -rf DATA/jobs/*` and ignores a failure.
- It sends log records without `tool`.
- It ends at once on SIGTERM, with its job.
- It has options behind the command only, and knows neither KRAKEN_AGENT_ADDRESS nor KRAKEN_MINIO_ADDR.
- It replaces itself by the server's version, with sudo, unless `--no-update` is given.
- Its command `install` makes an account with sudo, a unit below /lib, and links in /opt/kraken.
"""

from __future__ import annotations

import shutil
import tempfile
import zipapp
from pathlib import Path

SOURCES = Path(__file__).parent
INTERPRETER = "/usr/bin/env python3"


def build(directory: Path, version: str = "1.7.36") -> None:
    """Write `kkagent` and `kktool` into a directory.

    Args:
        version: what the agent calls itself; it updates itself when the server has another one.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("kkagent", "kktool"):
        with tempfile.TemporaryDirectory() as temporary:
            shutil.copy(SOURCES / f"{name}.py", Path(temporary, "__main__.py"))
            package = Path(temporary, "site-packages", "kraken", "agent")  # where a file made by shiv has them
            package.mkdir(parents=True)
            (package / "VERSION").write_text(version)
            zipapp.create_archive(temporary, directory / name, INTERPRETER)
