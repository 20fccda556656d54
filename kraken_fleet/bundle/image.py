"""The agent's Docker image, built on this machine: no registry is asked for anything."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from kraken_fleet.bundle.builder import build
from kraken_fleet.errors import BundleError, UsageError

_VERSION = re.compile(r"\A[\w][\w.-]*\Z")
_DOCKERFILE = """\
FROM {base}
COPY kkagent kktool /opt/kraken/
LABEL kraken-fleet.agent=ours
ENV KRAKEN_DATA_DIR=/opt/kraken/data
WORKDIR /opt/kraken
ENTRYPOINT ["python3", "/opt/kraken/kkagent", "run"]
"""


def build_image(tag: str, *, base: str = "", rootfs: Path | None = None) -> str:
    """Build the image and return its id.

    Args:
        tag: the image's name and version, as in `kraken-fleet/kkagent:0.1.0`.
        base: an image on this machine that has Python 3.8 or newer as `python3`.
        rootfs: instead of it, a tar file of such a system, as debootstrap makes it.

    Raises:
        UsageError: the tag has no version, or there is not exactly one base.
        BundleError: Docker is missing, the base is not on this machine, or the image cannot be built; Docker's last
            words are in the text.
    """
    _check_tag(tag)
    if bool(base) == (rootfs is not None):
        raise UsageError("An image needs one system to build on", hint="Give either --base or --rootfs")
    if base:
        _refuse_missing(base)
    imported = _docker("import", str(rootfs)) if rootfs is not None else ""
    try:
        with tempfile.TemporaryDirectory(prefix="kkagent-image-") as directory:
            build(directory)
            Path(directory, "Dockerfile").write_text(_DOCKERFILE.format(base=base or imported), encoding="utf-8")
            return _docker("build", "--quiet", "--pull=false", "--tag", tag, directory)
    finally:
        if imported:
            # Its layers stay with the image that was built on it; without one they go.
            _docker("image", "rm", imported, check=False)


def _refuse_missing(base: str) -> None:
    """Refuse an image that is not here: Docker would ask a registry for it."""
    try:
        _docker("image", "inspect", "--format", "{{.Id}}", base)
    except BundleError as error:
        hint = "Make it or load it first (docker load, docker import), or give --rootfs"
        raise BundleError(f"There is no image {base} on this machine", hint=hint) from error


def _check_tag(tag: str) -> None:
    name, _, version = tag.rpartition(":")
    if not name or not _VERSION.match(version) or version == "latest":
        raise UsageError(f"{tag} does not say a version", hint="Write one, as in kraken-fleet/kkagent:0.1.0")
    if re.match(r"v\d", version):
        raise UsageError(f"{tag}: versions have no leading v", hint=f"Write {name}:{version[1:]}")


def _docker(*arguments: str, check: bool = True) -> str:
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise BundleError(f"docker cannot be run: {error.strerror}", hint="Install Docker on this machine") from error
    if check and done.returncode:
        raise BundleError(f"docker {arguments[0]} failed: {done.stderr.strip()[-600:]}")
    return done.stdout.strip()
