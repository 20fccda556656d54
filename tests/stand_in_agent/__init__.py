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

import hashlib
import shutil
import subprocess
import tempfile
import zipapp
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent
INTERPRETER = "/usr/bin/env python3"
# The command is that of Kraken's own image, by which a deploy knows whose agent an image has.
_DOCKERFILE = """\
FROM {base}
WORKDIR /opt/kraken
COPY kkagent kktool /opt/kraken/
CMD ./kkagent run -s http://${{KRAKEN_SERVER_ADDR}}/bk/backend -d /tmp/kk
"""


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


def bundle(directory: Path, version: str = "1.7.36") -> dict[str, Any]:
    """Variables of the inventory that bring its files from the controller."""
    build(directory, version)
    sums = {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in ("kkagent", "kktool")}
    return {"kraken_agent_bundle": str(directory), "kraken_agent_bundle_sha256": sums}


@contextmanager
def image(tag: str, base: str) -> Iterator[None]:
    """Have a Docker image of it, as Kraken's own is made, while the block runs.

    Args:
        base: an image on this machine that has Python.
    """
    with tempfile.TemporaryDirectory() as temporary:
        build(Path(temporary))
        Path(temporary, "Dockerfile").write_text(_DOCKERFILE.format(base=base))
        command = ["docker", "build", "--quiet", "--pull=false", "--tag", tag, temporary]
        subprocess.run(command, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["docker", "image", "rm", "--force", tag], capture_output=True, check=False)
