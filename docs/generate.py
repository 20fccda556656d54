"""Writes what is said elsewhere already: `make docs` begins with it, and `make check` runs it with --check.

- The tables of variables in the README files of the roles, out of the roles' meta/argument_specs.yml.
- The tables in docs/versions.md, out of docs/versions.json, which nox writes.
- The table of settings in docs/agent.md, out of plugins/module_utils/host/settings.py.
- The table of commands and schemas in docs/json.md, and the schemas in docs/schemas, by docs/json_schemas.py.
- The argument specifications of modules that run on hosts, out of their DOCUMENTATION. Hosts have nothing to read YAML.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import json_schemas

from kraken_fleet.collection import Specification, role_variables, settings_table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "collections"))
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of, arguments_of_fragment  # noqa: E402

_SECTION = re.compile(r"(?<=^## Variables\n\n).*?(?=^## )", re.DOTALL | re.MULTILINE)
_SETTINGS = re.compile(r"(?<=^## Settings on a host\n\n).*?(?=^## )", re.DOTALL | re.MULTILINE)
_SCHEMAS = re.compile(r"(?<=^## Schemas\n\n).*?(?=^## )", re.DOTALL | re.MULTILINE)
_ARGUMENTS = re.compile(
    r"(?<=^# Written by `make docs` out of DOCUMENTATION\.\n)ARGUMENTS.*?^\}\n", re.DOTALL | re.MULTILINE
)
_RUNS = re.compile(r"(?<=^## What runs have shown\n\n).*?(?=^## )", re.DOTALL | re.MULTILINE)
_ABOUT_SETTINGS = """\
What each variable of the role kraken_agent becomes, by `kraken_agent_install_method` and on Windows. `yes` is the
variable in `kraken.env`, or what stands for that file in a container or a Windows service; other words say what it
becomes besides. A variable that is set and `refused` fails the host with a message that says what to do. Variables in
`kraken_agent_environment` and in an instance's `environment` win over all of these, and an empty one erases none.
Kraken's own agent gets no variable that it does not know.

"""
_RUN_KINDS = {
    "controller": "Controller: Python, ansible-core",
    "hosts": "Host: Python",
    "debian": "Host: Debian",
}
# Ansible's markup: C(code), V(value), O(option), E(environment variable), M(module).
_MARKUP = re.compile(r"\b[CVOEM]\(([^()]*(?:\([^()]*\))?[^()]*)\)")


def files() -> dict[Path, str]:
    """Make the text of each file that has a generated part."""
    found = {}
    for role, variables in role_variables().items():
        path = ROOT / "roles" / role / "README.md"
        found[path] = _SECTION.sub(lambda _, given=variables: tables(given), path.read_text(encoding="utf-8"))
    path = ROOT / "docs" / "agent.md"
    found[path] = _SETTINGS.sub(lambda _: settings(), path.read_text(encoding="utf-8"))
    path = ROOT / "docs" / "json.md"
    found[path] = _SCHEMAS.sub(lambda _: f"{json_schemas.table()}\n", path.read_text(encoding="utf-8"))
    found |= {ROOT / "docs" / "schemas" / name: text for name, text in json_schemas.files().items()}
    path = ROOT / "docs" / "versions.md"
    found[path] = _RUNS.sub(lambda _: runs(), path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "plugins" / "modules").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if _ARGUMENTS.search(text):
            found[path] = _with_arguments(text, _of_module(path.stem))
    path = ROOT / "plugins" / "module_utils" / "agent_arguments.py"
    found[path] = _with_arguments(path.read_text(encoding="utf-8"), repr(_of_agents()))
    return found


def tables(variables: Mapping[str, Specification]) -> str:
    """Write the table of a role's variables, and one for the keys of each variable that has some."""
    parts = ["| Variable | Type | Default | |\n|---|---|---|---|\n", *(_row(*one) for one in variables.items()), "\n"]
    for name, option in variables.items():
        if "options" in option:
            parts += _keys(f"An entry of `{name}`", option["options"])
    return "".join(parts)


def _keys(heading: str, options: Mapping[str, Specification]) -> Iterator[str]:
    """Write the keys of a dictionary, then those of the dictionaries in it."""
    yield f"{heading}:\n\n| Key | Type | |\n|---|---|---|\n"
    yield from (_key(*one) for one in options.items())
    yield "\n"
    for name, option in options.items():
        if "options" in option:
            yield from _keys(f"`{name}` there", option["options"])


def settings() -> str:
    """Write what each setting becomes on a host, by way of installing."""
    table = settings_table()
    head = ["Variable", "In `kraken.env`", *table.METHODS, "Kraken's own agent"]
    rows = [f"| {' | '.join(head)} |\n", f"|{'---|' * len(head)}\n"]
    for setting in table.SETTINGS:
        methods = [_becomes(setting, method) for method in table.METHODS]
        upstream = "yes" if "upstream" in setting.agents else "no"
        cells = [f"`{setting.variable}`", f"`{setting.name}`" if setting.name else "", *methods]
        rows.append(f"| {' | '.join([*cells, 'refused' if setting.upstream else upstream])} |\n")
    return _ABOUT_SETTINGS + "".join(rows) + "\n"


def runs() -> str:
    """Write what came of the last run with each version. One of which there is no run has no row."""
    known = json.loads((ROOT / "docs" / "versions.json").read_text(encoding="utf-8"))
    rows = [
        f"| {_RUN_KINDS[kind]} | {name} | {run['outcome']} | {run.get('versions', '')} | {run['day']} |\n"
        for kind in _RUN_KINDS
        for name, run in sorted(known.get(kind, {}).items(), key=lambda one: _numbers(one[0]))
    ]
    return "| Where | Version | Outcome | Exactly | Day |\n|---|---|---|---|---|\n" + "".join(rows) + "\n"


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def _becomes(setting: Any, method: str) -> str:
    if method not in setting.methods:
        return "refused" if setting.instead else "not used"
    return str(setting.more.get(method, "yes"))


def _of_module(module: str) -> str:
    """Write the arguments of a module; those of an agent come from the file that has them for several modules."""
    all_of_them, shared = arguments_of(module), _of_agents()
    if not shared.keys() <= all_of_them.keys():
        return repr(all_of_them)
    own = {name: argument for name, argument in all_of_them.items() if name not in shared}
    return f"{repr(own)[:-1]}, **agent_arguments.ARGUMENTS}}"


def _of_agents() -> dict[str, Any]:
    """Return what every module takes that runs an agent in a container."""
    return arguments_of_fragment("container") | arguments_of_fragment("agent")


def _with_arguments(text: str, value: str) -> str:
    """Write an argument specification into a file, in the shape that ruff gives it."""
    source = f"ARGUMENTS: dict[str, Any] = {value}\n"
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(ROOT / "plugins" / "arguments.py"), "-"]
    shaped = subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout
    return _ARGUMENTS.sub(lambda _: shaped, text)


def _row(name: str, option: Specification) -> str:
    return f"| `{name}` | {_type(option)} | {_default(option)} | {_meaning(option)} |\n"


def _key(name: str, option: Specification) -> str:
    required = " (required)" if option.get("required") else ""
    return f"| `{name}`{required} | {_type(option)} | {_meaning(option)} |\n"


def _type(option: Specification) -> str:
    kind = str(option.get("type", "str"))
    return f"{kind} of {option['elements']}" if "elements" in option else kind


def _default(option: Specification) -> str:
    if "default" not in option:
        return ""
    value = option["default"]
    if isinstance(value, dict) and value:
        return "in `defaults/main.yml`"
    text = value if isinstance(value, str) and value else json.dumps(value)
    return f"`{text}`"


def _meaning(option: Specification) -> str:
    return " ".join(_sentences(option)).replace("|", "\\|")


def _sentences(option: Specification) -> Iterator[str]:
    said = option["description"]
    for sentence in [said] if isinstance(said, str) else said:
        yield _MARKUP.sub(r"`\1`", sentence)
    if "choices" in option:
        yield f"One of {', '.join(f'`{choice}`' for choice in option['choices'])}."


def main(*, check: bool) -> int:
    wanted = files()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if not check:
        for path, text in wanted.items():
            path.write_text(text, encoding="utf-8")
    for path in stale:
        said = "This is not what `make docs` writes" if check else "Written"
        sys.stdout.write(f"{path.relative_to(ROOT)}: {said}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
