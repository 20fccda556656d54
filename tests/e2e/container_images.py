"""Images for the executors' tests, made on this machine from Debian's packages: no registry is asked."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from kraken_fleet.lab.docker_engine import Engine
from kraken_fleet.lab.host_image import Recipe, archive_of

# A shell and its commands, two users, and nothing else.
MINIMAL = "kraken-fleet-test/shell:1"
# A lab host: Debian with Python, Git and SSH. It is built once for all tests.
WITH_PYTHON = Recipe().image

_USERS = b"root:x:0:0::/root:/bin/sh\ngames:x:5:60::/tmp:/bin/sh\n"


@pytest.fixture(scope="session")
def docker_images(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Make what is missing; the image with Python takes a minute or two, as root."""
    engine = Engine()
    if not engine.has_image(MINIMAL):
        archive = tmp_path_factory.mktemp("image") / "shell.tar"
        _pack_shell(archive)
        engine.import_image(MINIMAL, archive)
    if not engine.has_image(WITH_PYTHON):
        engine.import_image(WITH_PYTHON, archive_of(Recipe()))


def _pack_shell(target: Path) -> None:
    with tarfile.open(target, "w") as tar:
        add_shell(tar)


def add_shell(tar: tarfile.TarFile, below: str = "") -> None:
    """Add a system of busybox alone to an archive, below a directory with a slash at its end."""
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is not installed"
    tar.add(busybox, f"{below}bin/busybox")
    for applet in _do("busybox", "--list").split():
        if applet != "busybox":
            link = tarfile.TarInfo(f"{below}bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    for name, mode in (("tmp", 0o1777), ("root", 0o700)):
        directory = tarfile.TarInfo(below + name)
        directory.type, directory.mode = tarfile.DIRTYPE, mode
        tar.addfile(directory)
    add_file(tar, f"{below}etc/passwd", _USERS)


def add_file(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    """Add a file that is nowhere else."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))


def _do(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


LXD_ALIAS = "kraken-lab/bookworm-python"
# The smallest thing that can be process 1 of a container: it waits, collects orphans, and ends when it is told to.
INIT = '#!/bin/sh\ntrap "exit 0" PWR TERM INT\nwhile :; do sleep 1000 & wait; done\n'
METADATA = "architecture: {machine}\ncreation_date: 1700000000\nproperties: {{description: Debian for tests}}\n"
# Every container of a directory pool is a copy of all files: what no test needs stays behind.
_LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/apt/lists", "var/cache")


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
            excluded = [f"--exclude={path}/*" for path in _LEFT_OUT]
            subprocess.run(["tar", "-C", str(root), *excluded, "-x"], stdin=export.stdout, check=True)
    finally:
        _do("docker", "rm", "--force", made)
    init = root / "sbin/init"
    init.unlink()
    init.write_text(INIT)
    init.chmod(0o755)
    (home / "metadata.yaml").write_text(METADATA.format(machine=os.uname().machine))
    _do("tar", "-C", str(home), "-cf", str(home / "image.tar"), "metadata.yaml", "rootfs")
    _do("lxc", "image", "import", str(home / "image.tar"), "--alias", LXD_ALIAS)
