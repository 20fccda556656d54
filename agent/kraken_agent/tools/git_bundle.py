"""A repository as one file in the object store, so that the next job fetches only what is new.

The object is upstream's: `MINIO_FOLDER/repo.bundle` in the step's bucket, made with `git bundle create --all`; agents
of both kinds can share it. A store that is away costs a warning and the shortcut, never the step.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Mapping, Optional, Set, Type

from kraken_agent.tools.git_command import Git
from kraken_agent.tools.object_store import ObjectStore, open_store
from kraken_agent.tools.output import say
from kraken_agent.tools.paths import temporary_directory
from kraken_agent.tools.s3 import MissingObjectError, StoreError

_NAME = "repo.bundle"
# Refs in a bundle that a clone from the remote has too.
_COMPARED = ("refs/remotes/origin/", "refs/tags/")
# A store that does not answer should not hold a clone up for long.
_STORE_SECONDS = 10.0


class BundleCache:
    """The bundle of one step's repository.

    Args:
        step: has `minio_bucket`, `minio_folder` and the store's address and keys, or has no cache.
    """

    def __init__(self, step: Mapping[str, Any]) -> None:
        self._bucket = str(step.get("minio_bucket") or "")
        self._object = f"{step.get('minio_folder')}/{_NAME}"
        self._directory = temporary_directory("bundle")
        self._store: Optional[ObjectStore] = None
        self._fetched: Optional[Path] = None
        if self._bucket and step.get("minio_folder"):
            try:
                self._store = open_store(step, timeout=_STORE_SECONDS)
            except StoreError as error:
                say(f"repository cache is not used: {error}")

    def __enter__(self) -> "BundleCache":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._store is not None:
            self._store.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def fetch(self) -> Optional[Path]:
        """Return the bundle, or None when there is none to be had."""
        if self._store is None:
            return None
        path = self._directory / _NAME
        try:
            self._store.get_file(self._bucket, self._object, path)
        except MissingObjectError:
            say("the repository is not in the cache yet")
        except StoreError as error:
            say(f"repository cache is not used: {error}")
            self._store = None
        else:
            self._fetched = path
        return self._fetched

    def store_if_changed(self, git: Git) -> None:
        """Put the repository into the store, unless the bundle that was fetched has all of it."""
        if self._store is None or (self._fetched is not None and self._is_current(git, self._fetched)):
            return
        path = self._directory / "new.bundle"
        if git.run("bundle", "create", str(path), "--all").code != 0:
            say("the repository could not be bundled; the cache stays as it is")
            return
        try:
            self._store.put_file(self._bucket, self._object, path)
        except StoreError as error:
            say(f"the repository could not be put into the cache: {error}")

    @staticmethod
    def _is_current(git: Git, bundle: Path) -> bool:
        bundled = _refs(git.quietly("bundle", "list-heads", str(bundle)).output)
        present = _refs(git.quietly("show-ref").output)
        return bool(present) and present <= bundled


def _refs(listing: str) -> Set[str]:
    """Return the lines `SHA REF` of a listing that are about the remote's branches and tags."""
    lines = (line.strip() for line in listing.splitlines())
    return {line for line in lines if line.partition(" ")[2].startswith(_COMPARED) and not line.endswith("/HEAD")}
