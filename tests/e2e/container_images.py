"""Images for the executors' tests, made on this machine from Debian's packages: no registry is asked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

MINIMAL = "kraken-lab/debian:bookworm-min"
WITH_PYTHON = "kraken-lab/debian:bookworm-python"

# debootstrap knows Debian's own mirror; another one may be named.
_MIRROR = [mirror] if (mirror := os.environ.get("KRAKEN_DEBIAN_MIRROR")) else []
_INSTALL = (
    "apt-get update -q && apt-get install -y -q --no-install-recommends python3 git openssh-client ca-certificates"
)


@pytest.fixture(scope="session")
def docker_images(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Make what is missing: a minimal Debian without Python (half a minute, as root), and one with Python and git."""
    if not _has(MINIMAL):
        tree = tmp_path_factory.mktemp("debootstrap") / "tree"
        _do("debootstrap", "--variant=minbase", "bookworm", str(tree), *_MIRROR)
        _import_tree(tree)
    if not _has(WITH_PYTHON):
        made = _do("docker", "create", MINIMAL, "/bin/sh", "-c", _INSTALL).strip()
        try:
            _do("docker", "start", "--attach", made)
            _do("docker", "commit", made, WITH_PYTHON)
        finally:
            _do("docker", "rm", "--force", made)


def _has(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0


def _import_tree(tree: Path) -> None:
    with subprocess.Popen(["tar", "-C", str(tree), "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(["docker", "import", "-", MINIMAL], stdin=tar.stdout, check=True, capture_output=True)


def _do(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


LXD_ALIAS = "kraken-lab/bookworm-python"
# The smallest thing that can be process 1 of a container: it waits, collects orphans, and ends when it is told to.
_INIT = '#!/bin/sh\ntrap "exit 0" PWR TERM INT\nwhile :; do sleep 1000 & wait; done\n'
_METADATA = "architecture: {machine}\ncreation_date: 1700000000\nproperties: {{description: Debian for tests}}\n"


@pytest.fixture(scope="session")
def lxd_image(docker_images: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same Debian for LXD, made of the Docker image; the daemon must have a storage pool."""
    if _do("lxc", "image", "list", LXD_ALIAS, "--format=csv").strip():
        return
    home = tmp_path_factory.mktemp("lxd-image")
    root = home / "rootfs"
    root.mkdir()
    made = _do("docker", "create", WITH_PYTHON, "true").strip()
    try:
        with subprocess.Popen(["docker", "export", made], stdout=subprocess.PIPE) as export:
            subprocess.run(["tar", "-C", str(root), "-x"], stdin=export.stdout, check=True)
    finally:
        _do("docker", "rm", "--force", made)
    (root / "sbin/init").write_text(_INIT)
    (root / "sbin/init").chmod(0o755)
    (home / "metadata.yaml").write_text(_METADATA.format(machine=os.uname().machine))
    _do("tar", "-C", str(home), "-cf", str(home / "image.tar"), "metadata.yaml", "rootfs")
    _do("lxc", "image", "import", str(home / "image.tar"), "--alias", LXD_ALIAS)
