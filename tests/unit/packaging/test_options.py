"""An option stands in one place, and none is lost between a role's variable and the module that acts on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible_collections.kraken_ci.fleet.plugins.action.agent_host import TASK_OPTIONS
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import BINARIES, COMPOSE, DOCKER, SCRIPT
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.settings import SETTINGS
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import role_settings

from kraken_fleet.collection import role_variables, roles
from kraken_fleet.errors import UsageError
from kraken_fleet.inventory import SERVER_VARIABLES
from tests.script_module import load_script

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = "ansible_collections.kraken_ci.fleet.plugins"
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
# A module may be for tasks of one's own: an option that no role gives then says so.
FOR_DIRECT_USE = ("No role sets it", "Used internally")
# The ways of installing that a module stands for.
METHODS = {"agent_host": (BINARIES, SCRIPT), "agent_container": (DOCKER,), "compose_agents": (COMPOSE,)}
# Options of a shared documentation fragment that a module cannot honour, and so refuses.
REFUSED = {"compose_agents": {"ca_bundle"}}
ONLY_DIRECT = {"agent", "agent_group", "agent_group_info", "agent_info", "service_addresses"}


def _text(role: str) -> str:
    files = [*(ROOT / "roles" / role).glob("tasks/*.yml"), *(ROOT / "roles" / role).glob("defaults/**/*.*")]
    return "".join(path.read_text(encoding="utf-8") for path in files)


def _playbooks() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in (ROOT / "playbooks").glob("*.yml"))


def _read_in(text: str) -> set[str]:
    """Name the variables that an expression reads; what stands before a colon only gets a value."""
    return set(re.findall(r"\b(kraken_\w+)\b(?!\s*:)", re.sub(r"(?m)#.*$|kraken_ci\.fleet\.\w+", "", text)))


def _tasks_in(content: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each of our modules that a task calls, with the arguments it gives."""
    if isinstance(content, list):
        for item in content:
            yield from _tasks_in(item)
    elif isinstance(content, dict):
        for key, value in content.items():
            if str(key).startswith("kraken_ci.fleet."):
                yield str(key).removeprefix("kraken_ci.fleet."), value or {}
            else:
                yield from _tasks_in(value)


def _given() -> dict[str, set[str]]:
    """Name the options of our modules that roles and playbooks give."""
    found: dict[str, set[str]] = {}
    for path in [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")]:
        for module, arguments in _tasks_in(yaml.safe_load(path.read_text(encoding="utf-8"))):
            found.setdefault(module, set()).update(arguments)
            if arguments.get("role_settings"):
                found[module] |= _from_the_table(module)
    return found


def _from_the_table(module: str) -> set[str]:
    """Name the options that the role's variables give when a task says `role_settings: true`."""
    return set(TASK_OPTIONS if module == "agent_host" else ()) | {
        setting.renamed.get(method, setting.option) or "environment"
        for setting in SETTINGS
        for method in METHODS[module]
        if method in setting.methods
    }


def _documented(module: str) -> dict[str, str]:
    """Give what is said to people of each option of a module."""
    documentation = yaml.safe_load(import_module(f"{PLUGINS}.modules.{module}").DOCUMENTATION)
    options = dict(documentation.get("options", {}))
    for fragment in documentation["extends_documentation_fragment"]:
        file, _, part = fragment.removeprefix("kraken_ci.fleet.").partition(".")
        text = getattr(
            import_module(f"{PLUGINS}.doc_fragments.{file}").ModuleDocFragment, (part or "documentation").upper()
        )
        options |= yaml.safe_load(text).get("options", {})
    return {name: str(option["description"]) for name, option in options.items()}


@pytest.mark.parametrize("role", roles())
def test_every_variable_that_a_role_declares_is_passed_on(role: str) -> None:
    """Registration reads SERVER_VARIABLES from the inventory; what an agent is told is in the table SETTINGS."""
    of_the_play = {name for name in _read_in(_playbooks()) if name.startswith(f"{role}_")}
    of_modules = {setting.variable for setting in SETTINGS} | set(TASK_OPTIONS.values())
    used = _read_in(_text(role)) | SERVER_VARIABLES | of_the_play | of_modules
    assert [name for name in role_variables()[role] if name not in used] == []


@pytest.mark.parametrize("role", roles())
def test_a_role_reads_no_variable_that_it_does_not_declare(role: str) -> None:
    assert _read_in(_text(role)) - set(role_variables()[role]) == set()


@pytest.mark.parametrize("module", sorted(set(MODULES) - ONLY_DIRECT))
def test_every_option_of_a_module_is_given_by_a_role_or_said_to_be_for_direct_use(module: str) -> None:
    given, documented = _given()[module], _documented(module)
    for_direct_use = {name for name, text in documented.items() if any(words in text for words in FOR_DIRECT_USE)}
    assert set(documented) - given == for_direct_use | REFUSED.get(module, set())
    assert given <= set(documented), "a role gives what the module does not have"


def test_modules_for_direct_use_are_used_by_no_role() -> None:
    assert set(MODULES) - set(_given()) == ONLY_DIRECT


@pytest.mark.parametrize("module", MODULES)
def test_a_module_takes_the_options_that_it_documents(module: str) -> None:
    found = import_module(f"{PLUGINS}.modules.{module}")
    path = ROOT / "plugins" / "action" / f"{module}.py"
    action = import_module(f"{PLUGINS}.action.{module}").ActionModule if path.exists() else None
    taken = getattr(action, "ARGUMENTS", None) or getattr(found, "ARGUMENTS", None)
    assert taken == arguments_of(module)


@pytest.mark.parametrize("name", ["server_password", "server_token", "secrets"])
def test_a_secret_option_is_never_logged(name: str) -> None:
    (module,) = [one for one in ("server_settings",) if name in arguments_of(one)]
    assert arguments_of(module)[name]["no_log"] is True


@pytest.mark.parametrize(("module", "option"), [(module, one) for module, some in REFUSED.items() for one in some])
def test_an_option_that_a_module_cannot_honour_is_refused_by_name(module: str, option: str) -> None:
    (method,) = METHODS[module]
    with pytest.raises(UsageError, match=rf"kraken_agent_{option} is not for kraken_agent_install_method {method}"):
        role_settings.completed(method, {option: "/etc/ca.crt"}, {}, None)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return load_script("docs/generate.py")


def test_what_make_docs_writes_is_written(generator: ModuleType) -> None:
    files = generator.files()
    assert {path.parent.name for path in files} >= set(roles())
    assert [path for path, text in files.items() if path.read_text(encoding="utf-8") != text] == []


def test_a_table_tells_type_default_choices_and_keys(generator: ModuleType) -> None:
    option = {
        "description": ["V(a) is one.", "See C(docs/trust.md)."],
        "type": "list",
        "elements": "dict",
        "default": [],
        "choices": ["a", "b|c"],
        "options": {
            "name": {"description": "Its name.", "required": True},
            "more": {"description": "More.", "type": "dict", "options": {"deep": {"description": "Deep."}}},
        },
    }
    assert generator.tables({"kraken_x": option}).splitlines()[2:] == [
        "| `kraken_x` | list of dict | `[]` | `a` is one. See `docs/trust.md`. One of `a`, `b\\|c`. |",
        "",
        "An entry of `kraken_x`:",
        "",
        "| Key | Type | |",
        "|---|---|---|",
        "| `name` (required) | str | Its name. |",
        "| `more` | dict | More. |",
        "",
        "`more` there:",
        "",
        "| Key | Type | |",
        "|---|---|---|",
        "| `deep` | str | Deep. |",
        "",
    ]
