"""Where artifacts, caches, repository bundles and users' tools are kept: the S3 store that a step's fields name.

The package `minio` is used when the host has it. The agent needs nothing installed, so without that package the same
five operations are done by the client in `s3`; both keep the same names and bytes in the store.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional, Protocol, Sequence
from urllib.parse import urlsplit

from kraken_agent.tools.s3 import MissingObjectError, S3Client, StoredObject, StoreError
from kraken_agent.tools.s3_signature import Credentials

_PART_SIZE = 16 * 1024 * 1024


class ObjectStore(Protocol):
    """What tools ask of a store. All of it raises StoreError; getting what is not there raises MissingObjectError."""

    def bucket_exists(self, bucket: str) -> bool:
        """Return whether a bucket is there."""

    def put_file(self, bucket: str, name: str, path: Path) -> int:
        """Store a file; return the number of bytes."""

    def get_file(self, bucket: str, name: str, path: Path) -> int:
        """Fetch an object into a file; return the number of bytes."""

    def list_objects(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """Return every object whose name begins with a prefix."""

    def close(self) -> None:
        """Let go of connections."""


def open_store(step: Mapping[str, Any], *, timeout: float = 30.0) -> ObjectStore:
    """Return the store of a step.

    Args:
        step: has `minio_addr`, `minio_access_key`, `minio_secret_key`. KRAKEN_MINIO_ADDR wins over the address, since a
            host may reach the store by another name than the server does.
        timeout: seconds that the store may be silent.

    Raises:
        StoreError: the step names no store.
    """
    address = os.environ.get("KRAKEN_MINIO_ADDR") or str(step.get("minio_addr") or "")
    if not address:
        raise StoreError("the server gave no address of an object store, and KRAKEN_MINIO_ADDR is not set", "NoAddress")
    credentials = Credentials(str(step.get("minio_access_key", "")), str(step.get("minio_secret_key", "")))
    package = _minio_package()
    if package is None:
        return S3Client(address, credentials, timeout=timeout)
    return MinioStore(package, address, credentials, timeout=timeout)


def open_store_for(action: Any, known: Sequence[str], step: Mapping[str, Any]) -> ObjectStore:
    """Return the store of a step, for one of the actions that its tool knows.

    Raises:
        StoreError: the tool does not know the action, or the step names no store.
    """
    if action not in known:
        raise StoreError(f"action {action!r} is neither {' nor '.join(known)}", "NoAction")
    return open_store(step)


def _minio_package() -> Optional[Any]:
    """Return the package `minio`, or None: imported here and only when a step needs a store, for it is large."""
    try:
        importlib.import_module("minio.error")
        return importlib.import_module("minio")
    except ImportError:
        return None


class MinioStore:
    """The same five operations done by the package `minio`.

    Args:
        package: the imported package.
        address: `host:port`, or a URL with `http` or `https`.
        credentials: who asks.
        timeout: seconds that the store may be silent.
    """

    def __init__(self, package: Any, address: str, credentials: Credentials, *, timeout: float) -> None:
        url = urlsplit(address if "://" in address else f"http://{address}")
        urllib3 = importlib.import_module("urllib3")
        retry = urllib3.Retry(total=3, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504])
        # The package's own pool waits five minutes for a store that does not answer.
        self._pool = urllib3.PoolManager(timeout=timeout, maxsize=4, retries=retry)
        self._client = package.Minio(
            url.netloc,
            access_key=credentials.access_key,
            secret_key=credentials.secret_key,
            secure=url.scheme == "https",
            http_client=self._pool,
        )
        self._errors = (package.error.MinioException, urllib3.exceptions.HTTPError, OSError, ValueError)

    def close(self) -> None:
        """Close the pool's connections."""
        self._pool.clear()

    def bucket_exists(self, bucket: str) -> bool:
        """Return whether a bucket is there."""
        try:
            return bool(self._client.bucket_exists(bucket))
        except self._errors as error:
            raise _translated(error) from error

    def put_file(self, bucket: str, name: str, path: Path) -> int:
        """Store a file; return the number of bytes."""
        try:
            self._client.fput_object(bucket, name, str(path), part_size=_PART_SIZE)
        except self._errors as error:
            raise _translated(error) from error
        return path.stat().st_size

    def get_file(self, bucket: str, name: str, path: Path) -> int:
        """Fetch an object into a file; return the number of bytes."""
        try:
            self._client.fget_object(bucket, name, str(path))
        except self._errors as error:
            raise _translated(error) from error
        return path.stat().st_size

    def list_objects(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """Return every object whose name begins with a prefix."""
        try:
            for entry in self._client.list_objects(bucket, prefix=prefix, recursive=True):
                yield StoredObject(entry.object_name, int(entry.size or 0))
        except self._errors as error:
            raise _translated(error) from error


def _translated(error: Exception) -> StoreError:
    code = str(getattr(error, "code", "") or "Unreachable")
    kind = MissingObjectError if code.startswith("NoSuch") else StoreError
    return kind(f"object store: {error}", code)
