"""What kraken-fleet says to a Kraken server, read from its source: endpoints of the API, and messages of the agent."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LISTS = ("read_all", "read_page", "read_pages")
# The module of paging is given its paths, and the session signs in by itself.
_PASSED_ON = ("paging.py",)


def endpoints() -> set[str]:
    """Every call in kraken_fleet/api, as `PUT /groups/{}`.

    Raises:
        ValueError: a call is written in a way that is not understood here.
    """
    files = sorted((ROOT / "kraken_fleet" / "api").glob("*.py"))
    return {found for file in files if file.name not in _PASSED_ON for found in _calls(file)}


def messages() -> set[str]:
    """The `msg` of every message that agent/kraken_agent/protocol.py makes."""
    tree = ast.parse((ROOT / "agent" / "kraken_agent" / "protocol.py").read_text())
    dictionaries = (node for node in ast.walk(tree) if isinstance(node, ast.Dict))
    pairs = (pair for node in dictionaries for pair in zip(node.keys, node.values, strict=True))
    return {str(value.value) for key, value in pairs if _text(key) == "msg" and isinstance(value, ast.Constant)}


def _calls(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text())
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        paths = {
            target.id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            method, path = _method_and_path(call)
            if path is not None:
                yield f"{method} {_template(paths.get(getattr(path, 'id', ''), path), file)}"


def _method_and_path(call: ast.Call) -> tuple[str, ast.expr | None]:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name in _LISTS:
        return "GET", call.args[1]
    if name == "download":
        return "GET", call.args[0]
    # `self._http.request(method, …)` is what these end in.
    if name in ("request", "_send") and isinstance(call.args[0], ast.Constant):
        return str(call.args[0].value), call.args[1]
    return "", None


def _template(path: ast.expr, file: Path) -> str:
    if isinstance(path, ast.JoinedStr):
        return "".join(_text(part) or "{}" for part in path.values)
    if text := _text(path):
        return text
    raise ValueError(f"{file}:{path.lineno}: the path of this request is not understood; teach {__file__}")


def _text(node: ast.expr | None) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""
