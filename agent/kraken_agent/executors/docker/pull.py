"""Has the engine pull an image, with the account that `docker login` has stored for its registry."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from typing import Any, Callable, Dict, Optional
from urllib.parse import urlencode

from kraken_agent.executors.docker.engine import EngineError, EngineSocket

_DEFAULT_TAG = "latest"
_HELPER_SECONDS = 30
# How Docker's own program calls the registry of images without a registry in their names.
_DOCKER_HUB = "https://index.docker.io/v1/"


def pull(engine: EngineSocket, image: str, on_line: Callable[[str], None]) -> None:
    """Have the engine get an image.

    Args:
        engine: which engine.
        image: its name, perhaps with a registry before it and a tag behind it.
        on_line: takes lines for the job's log.

    Raises:
        EngineError: the image cannot be had.
    """
    on_line(f"pulling image {image}")
    try:
        for event in engine.events(f"/images/create?{urlencode(_reference(image))}", _headers(image)):
            _check(event)
            # Progress bars are for terminals; in a log one line for each step is enough.
            if event.get("status") and not event.get("progress"):
                on_line(f"{event.get('id', '')} {event['status']}".strip())
    except EngineError as error:
        raise EngineError(f"image {image} cannot be pulled: {error}", error.status) from error


def _check(event: Dict[str, Any]) -> None:
    if "error" in event:
        raise EngineError(str(event["error"]))


def _reference(image: str) -> Dict[str, str]:
    """Return an image's name as the engine takes it: without a tag it would pull all of them."""
    name, colon, tag = image.rpartition(":")
    if "@" in image or (colon and "/" not in tag):
        return {"fromImage": image} if "@" in image else {"fromImage": name, "tag": tag}
    return {"fromImage": image, "tag": _DEFAULT_TAG}


def registry_of(image: str) -> str:
    """Return the registry of an image by the name that its account is stored under."""
    first, slash, _ = image.partition("/")
    has_registry = slash and ("." in first or ":" in first or first == "localhost")
    return first if has_registry and first not in ("docker.io", "index.docker.io") else _DOCKER_HUB


def _headers(image: str) -> Dict[str, str]:
    account = _account(registry_of(image))
    if account is None:
        return {}
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(account).encode()).decode()}


def _account(registry: str) -> Optional[Dict[str, str]]:
    """Return what the engine needs for a registry; None when nobody has signed in there."""
    directory = os.environ.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")
    try:
        with open(os.path.join(directory, "config.json"), "rb") as file:
            config = json.loads(file.read())
        helper = (config.get("credHelpers") or {}).get(registry) or config.get("credsStore")
        if helper:
            return _helpers_account(str(helper), registry)
        entry = (config.get("auths") or {}).get(registry) or {}
        return _stored_account(entry, registry)
    except (OSError, ValueError, AttributeError, subprocess.SubprocessError):
        # An account that cannot be read is one that the registry may not need; it says so if it does.
        return None


def _stored_account(entry: Dict[str, Any], registry: str) -> Optional[Dict[str, str]]:
    if entry.get("identitytoken"):
        return {"identitytoken": str(entry["identitytoken"]), "serveraddress": registry}
    user, colon, password = base64.b64decode(str(entry.get("auth") or "")).decode().partition(":")
    # Docker's own client strips zero bytes at the end of a stored password, too.
    return {"username": user, "password": password.rstrip("\0"), "serveraddress": registry} if colon else None


def _helpers_account(helper: str, registry: str) -> Optional[Dict[str, str]]:
    """Ask the program that keeps accounts (docker-credential-helpers, `get`); the registry goes through its input."""
    done = subprocess.run(
        [f"docker-credential-{helper}", "get"],
        input=registry.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_HELPER_SECONDS,
        check=False,
    )
    if done.returncode:
        return None
    found = json.loads(done.stdout)
    # The helpers' protocol: this name says that the secret is an identity token and no password.
    if found.get("Username") == "<token>":
        return {"identitytoken": str(found["Secret"]), "serveraddress": registry}
    return {"username": str(found["Username"]), "password": str(found["Secret"]), "serveraddress": registry}
