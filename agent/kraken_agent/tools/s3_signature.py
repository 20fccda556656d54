"""AWS Signature Version 4, as S3 servers (MinIO, SeaweedFS, AWS) check it on every request. Pure: no clock, no network.

Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", Amazon S3 API Reference.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Dict, Mapping, NamedTuple
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_SERVICE = "s3"


class Credentials(NamedTuple):
    """Who asks, and in which region the server says it is."""

    access_key: str
    secret_key: str
    # Where S3 servers are as long as nobody has set another region.
    region: str = "us-east-1"

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r}, ******, {self.region!r})"


def encoded_path(path: str) -> str:
    """Return a path as it is sent and signed: all but unreserved characters and slashes is %-encoded."""
    return quote(path, safe="/-_.~")


def encoded_query(query: Mapping[str, str]) -> str:
    """Return a query string as it is sent and signed: sorted, %-encoded, with `=` after names without value."""
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed_headers(
    credentials: Credentials, method: str, host: str, path: str, query: Mapping[str, str], payload: bytes, stamp: str
) -> Dict[str, str]:
    """Return the headers that prove who sends a request.

    Args:
        credentials: keys and region.
        method: `GET`, `PUT`, ...
        host: value of the Host header, with the port if there is one.
        path: unencoded, from the leading slash.
        query: unencoded names and values.
        payload: the whole body.
        stamp: the time in UTC as `20261123T170000Z`; servers refuse one that is 15 minutes off.
    """
    digest = hashlib.sha256(payload).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [
            method,
            encoded_path(path),
            encoded_query(query),
            *(f"{name}:{headers[name]}" for name in sorted(headers)),
            "",
            names,
            digest,
        ]
    )
    scope = f"{stamp[:8]}/{credentials.region}/{_SERVICE}/aws4_request"
    to_sign = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(_signing_key(credentials, stamp[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _signing_key(credentials: Credentials, day: str) -> bytes:
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (day, credentials.region, _SERVICE, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
