"""Which proxy leads to the server, by the variables that programs share: http_proxy, https_proxy and no_proxy.

Read as urllib, curl and requests read them; the library's own reader would cost an idle agent 5 MB.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Optional, Tuple

    from kraken_agent.protocol import ServerUrl

_USUAL_PORT = 3128


class Proxy:
    """An HTTP proxy.

    Attributes:
        host, port: whom to connect to.
        authorization: what the header `Proxy-Authorization` says; empty when the proxy asks for nothing.
    """

    __slots__ = ("authorization", "host", "port")

    def __init__(self, host: str, port: int, authorization: str = "") -> None:
        self.host = host
        self.port = port
        self.authorization = authorization

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def proxy_for(server: ServerUrl, environment: Mapping[str, str]) -> Optional[Proxy]:
    """Return the proxy for a server; None when it is reached directly.

    Args:
        environment: lower-case names win over upper-case ones, also when they are empty.

    Raises:
        ValueError: the variable does not name an HTTP proxy; a password in it is not repeated.
    """
    name = f"{server.scheme}_proxy"
    text = _value(environment, name)
    if not text or _is_direct(server, _value(environment, "no_proxy")):
        return None
    return _parse(text, name)


def _value(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name, environment.get(name.upper(), "")).strip()


def _is_direct(server: ServerUrl, exceptions: str) -> bool:
    """Return whether one of the exceptions is this server: a domain, a name, an address or a network."""
    host = server.host.lower()
    for entry in exceptions.lower().replace(",", " ").split():
        if entry == "*" or ("/" in entry and _is_in_network(host, entry)):
            return True
        name, port = _name_and_port(entry)
        name = name.lstrip("*").lstrip(".")
        if name and port in ("", str(server.port)) and (host == name or host.endswith(f".{name}")):
            return True
    return False


def _name_and_port(entry: str) -> Tuple[str, str]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.lstrip(":")
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""


def _is_in_network(host: str, network: str) -> bool:
    # Imported where it is needed: what an idle agent has imported stays in its memory.
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _parse(text: str, variable: str) -> Proxy:
    from urllib.parse import unquote, urlsplit

    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, None
    if parts is None or not host:
        raise ValueError(f"{variable} is not the URL of a proxy, such as http://proxy.example:3128")
    if parts.scheme != "http":
        raise ValueError(f"{variable} names a {parts.scheme} proxy; the agent speaks to proxies by http:// alone")
    authorization = ""
    if parts.username is not None:
        import base64

        account = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(account.encode()).decode('ascii')}"
    return Proxy(host, port or _USUAL_PORT, authorization)
