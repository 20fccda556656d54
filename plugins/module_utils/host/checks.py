"""Looks at a host before an agent is put on it: can it run one, and does it reach what an agent needs?

Runs on the managed host: standard library only, Python >= 3.8. A finding says what was looked at, whether it is well,
what was seen and, when it is not well, what to do about it. Nothing is changed on the host.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple
from urllib.parse import SplitResult, urljoin, urlsplit

from . import plain_http
from .commands import find
from .finding import Finding, finding

# Imported where it is needed: it takes longer than everything else on most hosts, which do without.
if TYPE_CHECKING:
    from email.message import Message
    from urllib.request import OpenerDirector

OLDEST_PYTHON = (3, 8)
# An agent signs S3 requests with its own clock; S3 stores refuse more than 15 minutes, log order suffers far earlier.
LARGEST_CLOCK_SKEW_SECONDS = 30
# What the agents' endpoint answers to a GET (recorded from 1.7.36): it takes POST only.
_ENDPOINT_STATUS = 405

_CHECK_URL = (
    "Check the URL's scheme, port and certificate. If its certificate authority is your own, set "
    "kraken_agent_ca_bundle to the file with it on the controller"
)


def run_checks(
    server: str,
    minio_addr: str,
    clickhouse_addr: str,
    directory: str,
    marker: str,
    least_disk_mb: int,
    timeout: float,
    ca_bundle: str,
) -> List[Finding]:
    """Run all checks of this host and return the findings.

    Args:
        server: the server's URL as the agent gets it.
        minio_addr, clickhouse_addr: `host:port`; empty means that the agent will ask the server, so nothing is checked.
        directory: where the agent will live.
        marker: a word that the log record carries, so that the controller can find it.
        least_disk_mb: free space in MiB below which the disk is a finding.
        timeout: seconds for each connection.
        ca_bundle: a file with certificate authorities for https; empty takes the host's own.
    """
    findings = [check_python(), check_git(), check_disk(directory, least_disk_mb)]
    findings += check_server(server, timeout, ca_bundle)
    if minio_addr:
        findings.append(check_minio(minio_addr, timeout))
    if clickhouse_addr:
        findings.append(send_log_record(clickhouse_addr, marker))
    return findings


def check_python() -> Finding:
    """Check the version of the Python that runs this."""
    found = "%d.%d.%d" % sys.version_info[:3]
    return finding(
        "python",
        sys.version_info >= OLDEST_PYTHON,
        "%s (%s)" % (found, sys.executable),
        "The agent needs Python %d.%d or newer: run the role kraken_prereqs, or set ansible_python_interpreter"
        % OLDEST_PYTHON,
    )


def check_git() -> Finding:
    """Check that Git is on the PATH."""
    path = find("git", elsewhere="")
    return finding("git", bool(path), path or "not found on PATH", "Install git: the role kraken_prereqs does it")


def check_disk(directory: str, least_mb: int) -> Finding:
    """Check the free space, in MiB, of the file system that a directory is on, or would be."""
    existing = os.path.abspath(directory)
    while not os.path.isdir(existing):
        existing = os.path.dirname(existing)
    volume = os.statvfs(existing)
    free_mb = volume.f_bavail * volume.f_frsize // (1024 * 1024)
    return finding(
        "disk",
        free_mb >= least_mb,
        "%d MiB free at %s" % (free_mb, existing),
        "At least %d MiB are wanted: free some space, or move kraken_agent_dir" % least_mb,
    )


def check_server(server: str, timeout: float, ca_bundle: str) -> List[Finding]:
    """Check DNS, TCP, HTTP and clock of the Kraken server; a check that fails ends it."""
    url = server if "://" in server else "http://" + server
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return [finding("server address", False, "%r is not a URL" % server, "Set kraken_server_url")]
    host, port = _first_hop(parts, parts.hostname)
    findings = [_resolve(host, port)]
    if findings[-1]["ok"]:
        findings.append(_connect(host, port, timeout))
    if findings[-1]["ok"]:
        findings += _check_http(url, timeout, ca_bundle)
    return findings


def _first_hop(parts: SplitResult, host: str) -> Tuple[str, int]:
    """Tell where connections go: to the server, or to the proxy that the environment names for it."""
    if not plain_http.is_direct():
        from urllib.request import getproxies, proxy_bypass

        proxy = None if proxy_bypass(host) else getproxies().get(parts.scheme)
        if proxy:
            parts = urlsplit(proxy if "://" in proxy else "http://" + proxy)
    return parts.hostname or host, parts.port or (443 if parts.scheme == "https" else 80)


def _resolve(host: str, port: int) -> Finding:
    try:
        addresses = sorted({str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    except socket.gaierror as error:
        return finding(
            "dns", False, "%s: %s" % (host, error.strerror), "Check /etc/resolv.conf, or give kraken_server_url an IP"
        )
    return finding("dns", True, "%s is %s" % (host, ", ".join(addresses)))


def _connect(host: str, port: int, timeout: float) -> Finding:
    started = time.monotonic()
    try:
        socket.create_connection((host, port), timeout).close()
    except OSError as error:
        return finding(
            "tcp",
            False,
            "%s:%d: %s" % (host, port, error.strerror or error),
            "Check that the server runs and that no firewall stands between",
        )
    return finding("tcp", True, "%s:%d in %.0f ms" % (host, port, 1000 * (time.monotonic() - started)))


def _check_http(url: str, timeout: float, ca_bundle: str) -> List[Finding]:
    # This is the URL that the agent will use, so a proxy that forwards only the API is found too.
    endpoint = urljoin(url, "backend")
    parts = urlsplit(endpoint)
    if parts.scheme == "http" and not parts.username and plain_http.is_direct():
        answer = plain_http.get(parts.hostname or "", parts.port or 80, parts.path, timeout)
        if answer and answer.status == _ENDPOINT_STATUS:
            return [_is_kraken(parts.path, answer.status), _compare_clocks(answer.time)]
    return _get_endpoint(url, endpoint, timeout, ca_bundle)


def _get_endpoint(url: str, endpoint: str, timeout: float, ca_bundle: str) -> List[Finding]:
    """Ask through proxies, over https, and along redirections."""
    from email.utils import parsedate_to_datetime
    from http.client import HTTPException
    from urllib.error import HTTPError

    try:
        with _opener(ca_bundle).open(endpoint, timeout=timeout) as response:
            status, headers = response.status, response.headers
    except HTTPError as error:
        status, headers = error.code, error.headers
    except (OSError, HTTPException) as error:
        why = getattr(error, "reason", error)
        return [finding("http", False, "%s: %s" % (url, why), _CHECK_URL)]
    date = parsedate_to_datetime(headers["Date"]).timestamp() if "Date" in headers else None
    return [_is_kraken(urlsplit(endpoint).path, status), _compare_clocks(date)]


def _is_kraken(path: str, status: int) -> Finding:
    remedy = "Something else than a Kraken server answers there: check kraken_server_url, also its path"
    return finding("http", status == _ENDPOINT_STATUS, "GET %s gives %d" % (path, status), remedy)


def _compare_clocks(servers: Optional[float]) -> Finding:
    if servers is None:
        return finding("clock", True, "the server sends no date")
    skew = abs(servers - time.time())
    return finding(
        "clock",
        skew <= LARGEST_CLOCK_SKEW_SECONDS,
        "%.0f s from the server's" % skew,
        "Synchronise the host's clock (chrony, systemd-timesyncd): logs get out of order, S3 refuses requests",
    )


def check_minio(address: str, timeout: float) -> Finding:
    """Check that an S3 store answers. It refuses a request without a signature, in S3's own words, which is enough."""
    from http.client import HTTPException

    host, port = split_address(address)
    try:
        status, headers, body = _get(host, port, "/", timeout)
    except (OSError, HTTPException) as error:
        return finding(
            "minio",
            False,
            "%s: %s" % (address, error),
            "Publish MinIO's port and set kraken_minio_addr to it: artifacts and caches go there",
        )
    # S3 answers in XML, errors too; MinIO also names itself in a header.
    speaks_s3 = status in (200, 403) and (b"<" in body[:5] or "minio" in headers.get("Server", "").lower())
    return finding(
        "minio", speaks_s3, "%s answers %d" % (address, status), "That is no S3 store: check kraken_minio_addr"
    )


def send_log_record(address: str, marker: str) -> Finding:
    """Send one log record. UDP does not say whether it arrives: the controller has to look for it."""
    host, port = split_address(address)
    try:
        family, kind, _proto, _name, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as sender:
            sender.sendto(json.dumps(log_record(marker)).encode(), target)
    except OSError as error:
        return finding(
            "logs",
            False,
            "%s: %s" % (address, error.strerror or error),
            "Check kraken_clickhouse_addr (UDP, port 9001)",
        )
    return finding("logs", None, "a record was sent to %s" % address)


def log_record(marker: str) -> Dict[str, Any]:
    """Make a record with the fields that Kraken's ClickHouse proxy requires (clickhouse-proxy/src/main.rs, 1.x)."""
    now = time.time()
    return {
        "@timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + ".%06dZ" % (now % 1 * 1e6),
        "message": "kraken-fleet preflight %s" % marker,
        "host": socket.gethostname(),
        "path": "preflight",
        "lineno": 0,
        "level": "INFO",
        "logger_name": "kraken-fleet",
        "service": "preflight",
        "tool": marker,
    }


def split_address(address: str) -> Tuple[str, int]:
    """Split `host:port` or `[v6]:port` into its parts."""
    host, _colon, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _opener(ca_bundle: str) -> OpenerDirector:
    import ssl
    from urllib.request import HTTPSHandler, build_opener

    if not ca_bundle:
        return build_opener()
    return build_opener(HTTPSHandler(context=ssl.create_default_context(cafile=ca_bundle)))


def _get(host: str, port: int, path: str, timeout: float) -> Tuple[int, Message, bytes]:
    from http.client import HTTPConnection

    connection = HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.headers, response.read(4096)
    finally:
        connection.close()
