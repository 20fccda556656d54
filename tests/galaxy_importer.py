"""What Ansible Galaxy says of the collection when it is uploaded there: `make galaxy`.

Galaxy takes an upload in with the program galaxy-importer, which is run here on the tarball that a release uploads. It
is in a virtual environment of its own, since it wants old versions of some packages. Each warning is a failure.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINNED = ROOT / "requirements" / "galaxy.txt"
_HOME = Path(sys.prefix) / "galaxy"
_COMPLAINT = re.compile(r"^(?:WARNING|ERROR|CRITICAL)\b.*$", re.MULTILINE)


def install() -> None:
    """Install the program as it is pinned, unless it is there; it sees kraken_fleet, which plugins import."""
    stamp = _HOME / "pinned.txt"
    if stamp.exists() and stamp.read_bytes() == PINNED.read_bytes():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(_HOME)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(_HOME / "bin" / "python"), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--only-binary", ":all:", "--require-hashes", "--requirement", str(PINNED)], check=True)
    (site,) = _HOME.glob("lib/python*/site-packages")
    (site / "kraken_fleet.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    stamp.write_bytes(PINNED.read_bytes())


def complaints(tarball: Path) -> list[str]:
    """Return what Galaxy finds wrong with a collection.

    Raises:
        RuntimeError: it does not take the collection in at all.
    """
    programs = os.pathsep.join([str(_HOME / "bin"), os.environ.get("PATH", os.defpath)])
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [str(_HOME / "bin" / "python"), "-m", "galaxy_importer.main", str(tarball)],
        cwd=tarball.parent,
        env=inherited | {"PATH": programs},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    found = _COMPLAINT.findall(said)
    if done.returncode or (not found and "Importer processing completed successfully" not in said):
        raise RuntimeError(f"galaxy-importer failed with {done.returncode}:\n{said}")
    return found


def main() -> int:
    install()
    with tempfile.TemporaryDirectory() as folder:
        build = [str(Path(sys.executable).parent / "ansible-galaxy"), "collection", "build", "--output-path", folder]
        subprocess.run([*build, str(ROOT)], stdout=subprocess.DEVNULL, check=True)
        found = complaints(next(Path(folder).glob("*.tar.gz")))
    sys.stdout.write("\n".join([*found, f"galaxy-importer: {len(found)} complaints"]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
