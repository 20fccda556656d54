"""A small S3 client on the standard library: what the agent's tools need of an object store, and no more.

It keeps one connection, sends large files in parts so that memory stays at one part, signs every part, and repeats what
failed for a passing reason. `object_store` decides when it is used.
"""

from __future__ import annotations

import http.client
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import IO, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple, TypeVar

from kraken_agent.tools.s3_signature import Credentials, encoded_path, encoded_query, signed_headers

# Parts of at least 5 MiB are a rule of S3; the maximum of 10,000 parts then allows files of 160 GB.
PART_SIZE = 16 * 1024 * 1024
_READ_SIZE = 1024 * 1024
_ATTEMPTS = 4
_FIRST_PAUSE = 0.2
_TIMEOUT_SECONDS = 30.0
_PASSING_STATUSES = (500, 502, 503, 504)
_NOT_FOUND = 404

_Answer = TypeVar("_Answer")


class StoreError(Exception):
    """The object store refused, or could not be reached.

    Args:
        message: what was asked and what came back.
        code: S3's own error code (`NoSuchKey`, `AccessDenied`, ...), or `Unreachable`.
        region: the region that the store wants requests to be signed for, when that was the trouble.
    """

    def __init__(self, message: str, code: str, region: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.region = region


class MissingObjectError(StoreError):
    """There is no such object or bucket."""


class StoredObject(NamedTuple):
    """One line of a listing: the object's whole name, and its size in bytes."""

    name: str
    size: int


class S3Client:
    """Talks to one S3 server.

    Args:
        address: `host:port`, or a URL with `http` or `https`.
        credentials: who asks.
        timeout: seconds that the server may be silent.
    """

    def __init__(self, address: str, credentials: Credentials, *, timeout: float = _TIMEOUT_SECONDS) -> None:
        url = urllib.parse.urlsplit(address if "://" in address else f"http://{address}")
        self._host = url.netloc
        self._credentials = credentials
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(self._host, timeout=timeout)

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        self._connection.close()

    def bucket_exists(self, bucket: str) -> bool:
        """Return whether a bucket is there and these keys may see it."""
        try:
            self._ask("HEAD", bucket)
        except MissingObjectError:
            return False
        return True

    def make_bucket(self, bucket: str) -> None:
        """Create a bucket."""
        self._ask("PUT", bucket)

    def put_file(self, bucket: str, name: str, path: Path) -> int:
        """Store a file; return the number of bytes."""
        with path.open("rb") as source:
            first = source.read(PART_SIZE)
            if len(first) < PART_SIZE:
                self._ask("PUT", bucket, name, body=first)
                return len(first)
            return self._put_parts(bucket, name, first, source)

    def get_file(self, bucket: str, name: str, path: Path) -> int:
        """Fetch an object into a file, whose directory must exist; return the number of bytes.

        The file appears whole or not at all.

        Raises:
            MissingObjectError: there is no such object.
        """
        partial = path.with_name(f".{path.name}.part")
        try:
            size = self._repeated(lambda: self._fetch(bucket, name, partial))
            partial.replace(path)
        finally:
            if partial.exists():
                partial.unlink()
        return size

    def list_objects(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """Return every object whose name begins with a prefix, in the order of their names."""
        query = {"list-type": "2", "prefix": prefix}
        while True:
            page = ElementTree.fromstring(self._ask("GET", bucket, query=query)[1])  # noqa: S314 - from our own store
            for entry in page.iter():
                if _local(entry.tag) == "Contents":
                    yield StoredObject(_text(entry, "Key"), int(_text(entry, "Size") or 0))
            token = _text(page, "NextContinuationToken")
            if _text(page, "IsTruncated") != "true" or not token:
                return
            query["continuation-token"] = token

    def _put_parts(self, bucket: str, name: str, first: bytes, source: IO[bytes]) -> int:
        answer = self._ask("POST", bucket, name, query={"uploads": ""})[1]
        upload = {"uploadId": _text(ElementTree.fromstring(answer), "UploadId")}  # noqa: S314 - from our own store
        tags: List[str] = []
        size = 0
        part = first
        try:
            while part:
                query = {"partNumber": str(len(tags) + 1), **upload}
                tags.append(self._ask("PUT", bucket, name, query=query, body=part)[0].get("etag", ""))
                size += len(part)
                part = source.read(PART_SIZE)
            self._ask("POST", bucket, name, query=upload, body=_completion(tags))
        except BaseException:
            # Parts of an upload that is never completed would stay in the store, unseen and paid for.
            self._ask("DELETE", bucket, name, query=upload)
            raise
        return size

    def _fetch(self, bucket: str, name: str, path: Path) -> int:
        answer = self._send("GET", bucket, name, {}, b"")
        expected = answer.length
        size = 0
        with path.open("wb") as target:
            while True:
                try:
                    chunk = answer.read(_READ_SIZE)
                except (OSError, http.client.HTTPException) as error:
                    self.close()
                    raise StoreError(f"{bucket}/{name} broke off: {error}", "Unreachable") from error
                if not chunk:
                    break
                target.write(chunk)
                size += len(chunk)
        if expected is not None and size != expected:
            self.close()
            raise StoreError(f"{bucket}/{name} ended after {size} of {expected} bytes", "Unreachable")
        return size

    def _ask(
        self, method: str, bucket: str, name: str = "", *, query: Optional[Mapping[str, str]] = None, body: bytes = b""
    ) -> Tuple[Dict[str, str], bytes]:
        """Send a request, again if that may help; return the answer's headers, in lower case, and its body."""

        def once() -> Tuple[Dict[str, str], bytes]:
            answer = self._send(method, bucket, name, query or {}, body)
            try:
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.close()
                raise StoreError(f"object store {self._host} broke off: {error}", "Unreachable") from error
            # A completed upload may be answered with 200 and an error inside.
            if b"<Error>" in content[:512]:
                raise _refusal(method, bucket, name, answer.status, content)
            return {key.lower(): value for key, value in answer.getheaders()}, content

        return self._repeated(once)

    def _repeated(self, action: Callable[[], _Answer]) -> _Answer:
        """Do something up to four times while the store cannot be reached or is out of order."""
        pause = _FIRST_PAUSE
        for _ in range(_ATTEMPTS - 1):
            try:
                return action()
            except StoreError as error:
                if not self._may_help(error):
                    raise
            time.sleep(pause)
            pause *= 2
        return action()

    def _may_help(self, error: StoreError) -> bool:
        # A store in another region refuses the signature, and names its region.
        if error.region and error.region != self._credentials.region:
            self._credentials = self._credentials._replace(region=error.region)
            return True
        return error.code in ("Unreachable", "InternalError", "SlowDown", "ServiceUnavailable")

    def _send(
        self, method: str, bucket: str, name: str, query: Mapping[str, str], body: bytes
    ) -> http.client.HTTPResponse:
        path = f"/{bucket}/{name}" if name else f"/{bucket}"
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = signed_headers(self._credentials, method, self._host, path, query, body, stamp)
        target = encoded_path(path) + (f"?{encoded_query(query)}" if query else "")
        try:
            self._connection.request(method, target, body=body or None, headers=headers)
            answer = self._connection.getresponse()
            if answer.status < http.client.MULTIPLE_CHOICES:
                return answer
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise StoreError(f"object store {self._host} cannot be reached: {error}", "Unreachable") from error
        raise _refusal(method, bucket, name, answer.status, content)


def _refusal(method: str, bucket: str, name: str, status: int, content: bytes) -> StoreError:
    """Return the error for an answer that is not a success."""
    code, message, region = "", "", ""
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 - from our own store
        code, message, region = _text(root, "Code"), _text(root, "Message"), _text(root, "Region")
    except ElementTree.ParseError:
        pass
    if not code and status in _PASSING_STATUSES:
        code = "InternalError"
    kind = MissingObjectError if status == _NOT_FOUND or code.startswith("NoSuch") else StoreError
    what = f"{bucket}/{name}" if name else bucket
    text = f"{method} {what}: object store answered {status} {code} {message}".rstrip()
    return kind(text, code or str(status), region)


def _completion(tags: List[str]) -> bytes:
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{tag.replace('&', '&amp;')}</ETag></Part>"
        for number, tag in enumerate(tags, 1)
    )
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()


def _local(tag: str) -> str:
    """Return an element's name without its namespace: servers differ in which one they use."""
    return tag.rsplit("}", 1)[-1]


def _text(element: ElementTree.Element, name: str) -> str:
    for child in element:
        if _local(child.tag) == name:
            return child.text or ""
    return ""
