"""Images of the host's Docker engine: which is meant, whose agent it has, and that it is the one that was pinned."""

from __future__ import annotations

import json
import re

from .changes import HostError
from .commands import run
from .setting import OURS, UPSTREAM

PULL_SECONDS = 900.0
# `kraken-fleet bundle image` puts it on its images; those that are built on them have it too.
AGENT_LABEL = "kraken-fleet.agent"
# The command of Kraken's own image (1.7.36), which puts the scheme before the variable.
_WITHOUT_SCHEME = "http://${KRAKEN_SERVER_ADDR}"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def pinned(image: str) -> str:
    """Return the image's name when it says a version or a digest.

    Raises:
        HostError: it has no version, a moving one, one in a spelling that Kraken's registry does not have, or a digest
            that is none.
    """
    name, at, digest = image.partition("@")
    if at:
        if not name or not _DIGEST.match(digest):
            raise HostError(
                f"Image {image!r}: what follows the @ is no digest; write sha256: and 64 digits from 0 to f"
            )
        return image
    name, _colon, version = image.rpartition(":")
    if not name or "/" in version or version == "latest":
        raise HostError(f"Image {image!r} is not pinned; write its version, as in kraken-fleet/kkagent:0.1.0")
    if re.match(r"v\d", version):
        raise HostError(f"Image {image}: Kraken's versions have no leading v; write {name}:{version[1:]}")
    return image


def reference(image: str) -> str:
    """Return what Docker is to be asked for.

    An image with a digest is the one with this ID when the host has it: Docker computes IDs from the content, when an
    image is built or loaded, so that needs neither a registry nor a name. Else it is the one of a registry, whose
    digest Docker compares when it pulls.
    """
    name, at, digest = image.partition("@")
    if not at:
        return image
    if digest in _docker("image", "ls", "--no-trunc", "--quiet").split():
        return digest
    # Docker does not find an image by its version and its digest together.
    path, slash, last = name.rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}@{digest}"


def agent_of_image(image: str, *, pull: bool) -> str:
    """Tell whose agent an image has: Kraken's own when it has the command of Kraken's image and not our label.

    Args:
        pull: whether to get an image that is not there; else it is taken for one of ours.

    Raises:
        HostError: Docker does not answer, or cannot get the image.
    """
    wanted = reference(image)
    there = _DIGEST.match(wanted) or _docker("image", "ls", "--quiet", wanted).split()
    if not there and not pull:
        return OURS
    if not there:
        _pull(image, wanted)
    config = json.loads(_docker("image", "inspect", wanted))[0]["Config"]
    if (config.get("Labels") or {}).get(AGENT_LABEL):
        return OURS
    command = " ".join([*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())])
    return UPSTREAM if _WITHOUT_SCHEME in command else OURS


def _pull(image: str, wanted: str) -> None:
    try:
        run(["docker", "pull", "--quiet", wanted], timeout=PULL_SECONDS)
    except HostError as error:
        if "@" not in image:
            raise
        raise HostError(
            f"Image {image}: no image on this host has that ID, and no registry gave one with that digest ({error}). "
            "Load the right one with `docker load`; if its ID is another one now, see who has changed the image"
        ) from error


def _docker(*arguments: str) -> str:
    return run(["docker", *arguments])
