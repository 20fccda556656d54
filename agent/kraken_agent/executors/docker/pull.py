"""Pulls images through the `docker` SDK, which knows registries and their credentials: the only module that imports it.

It is imported only in the child that prepares a job whose image is missing.
"""

from __future__ import annotations

import importlib
from typing import Callable, Tuple, Type

from kraken_agent.executors.docker.engine import EngineError

_TIMEOUT_SECONDS = 60
_DEFAULT_TAG = "latest"


def pull(image: str, on_line: Callable[[str], None]) -> None:
    """Have the engine get an image.

    Args:
        image: its name, perhaps with a registry before it and a tag behind it.
        on_line: takes lines for the job's log.

    Raises:
        EngineError: there is no SDK, or the image cannot be had.
    """
    try:
        sdk = importlib.import_module("docker")
    except ImportError as error:
        raise EngineError(f"image {image} cannot be pulled without the Python package docker: {error}") from error
    faults: Tuple[Type[BaseException], ...] = (sdk.errors.DockerException, OSError)
    on_line(f"pulling image {image}")
    try:
        client = sdk.from_env(timeout=_TIMEOUT_SECONDS).api
        repository, tag = sdk.utils.parse_repository_tag(image)
        for event in client.pull(repository, tag=tag or _DEFAULT_TAG, stream=True, decode=True):
            if "error" in event:
                raise EngineError(f"image {image} cannot be pulled: {event['error']}")
            # Progress bars are for terminals; in a log one line for each step is enough.
            if "progress" not in event and event.get("status"):
                on_line(f"{event.get('id', '')} {event['status']}".strip())
    except faults as error:
        reason = getattr(error, "explanation", "") or error
        raise EngineError(f"image {image} cannot be pulled: {reason}") from error
