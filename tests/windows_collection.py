"""Puts the collection ansible.windows into this virtual environment: for ansible-lint, and for the tests of its tasks.

It is taken out of the package `ansible`, which brings a hundred collections. With those installed nobody would notice
that a role uses one which users do not have.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

PREFIX = "ansible_collections/ansible/windows/"
PINNED = Path(__file__).parents[1] / "requirements" / "windows.txt"


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", directory]
        subprocess.run([*command, "--require-hashes", "--requirement", str(PINNED)], check=True)
        (wheel,) = Path(directory).glob("ansible-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if name.startswith(PREFIX)]
            archive.extractall(sysconfig.get_path("purelib"), members)


if __name__ == "__main__":
    main()
