"""The server's two sockets, bound before anything else, so that a taken port is one clear message."""

from __future__ import annotations

import errno
import ipaddress
import socket

from kraken_fleet.errors import PortInUseError, UsageError

# Connections that wait to be taken; the system bounds it further (net.core.somaxconn).
BACKLOG = 16384
# One burst of a whole fleet's log lines has to wait here while a request is being answered.
_LOG_BUFFER_BYTES = 8 * 1024 * 1024


def bind_tcp(host: str, port: int) -> socket.socket:
    """Make a TCP socket that is ready to listen.

    Raises:
        PortInUseError: another program has the port.
        UsageError: this machine has no such address, or the port needs root.
    """
    sock = _bind(host, port, socket.SOCK_STREAM, "--port")
    sock.set_inheritable(True)
    return sock


def bind_udp(host: str, port: int) -> socket.socket:
    """Make the log sink's socket, with a large receive buffer. It raises as bind_tcp."""
    sock = _bind(host, port, socket.SOCK_DGRAM, "--log-port")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LOG_BUFFER_BYTES)
    sock.settimeout(0)
    return sock


def _bind(host: str, port: int, kind: socket.SocketKind, option: str) -> socket.socket:
    where = f"{'tcp' if kind == socket.SOCK_STREAM else 'udp'} {host}:{port}"
    try:
        family, _, _, _, target = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise UsageError(f"Cannot listen on {host}: {error.strerror}", where=where) from error
    sock = socket.socket(family, kind)
    if kind == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(target)
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            hint = f"Stop the program that listens there, or choose another port with {option} (0 takes a free one)"
            raise PortInUseError(f"Port {port} is in use", where=where, hint=hint) from error
        raise UsageError(f"Cannot listen on {host}:{port}: {error.strerror}", where=where) from error
    return sock


def outward_address(host: str) -> str:
    """Return a bound address as others can name it.

    For a wildcard: the address towards the default route, else loopback.
    """
    try:
        wildcard = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host
    if not wildcard:
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # documentation address: chooses a route, sends nothing
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def host_port(host: str, port: int) -> str:
    """Write `host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
