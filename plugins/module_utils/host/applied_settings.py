"""What the table of settings makes of values: variables of an agent, options of modules, and what is refused."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from .setting import ACCOUNT, DATA_DIR, NONCE_FILE, OURS, UPSTREAM, WINDOWS, Place, Setting
from .settings import SETTINGS


def environment(options: Mapping[str, Any], place: Place, *given: Mapping[str, Any]) -> Dict[str, str]:
    """Make the variables of an agent. Those that users gave win over those made of options; an empty one erases none.

    Args:
        options: of the module, by their names.
        place: where the agent is.
        given: kraken_agent_environment, then the variables of the instance; the later wins.
    """
    made = {setting.name: setting.text(options.get(setting.option), place) for setting in _named(place)}
    found: Dict[str, str] = {}
    for layer in (made, *given):
        found.update({str(name): str(value) for name, value in layer.items() if value not in (None, "")})
    return found


def _named(place: Place) -> List[Setting]:
    """Select the settings that are an environment variable there."""
    return [
        setting
        for setting in SETTINGS
        if setting.name and setting.option and place.method in setting.methods and place.agent in setting.agents
    ]


def of_role(method: str, values: Mapping[str, Any]) -> Dict[str, Any]:
    """Turn the variables of the role into the options of a module.

    Args:
        values: the variables, by their names.
    """
    found: Dict[str, Any] = {}
    unnamed: Dict[str, Any] = {}
    for setting in SETTINGS:
        if setting.variable in values and method in setting.methods:
            value = values[setting.variable]
            value = value == setting.only if setting.only else value
            if setting.option:
                found[setting.renamed.get(method, setting.option)] = value
            else:
                unnamed[setting.name] = setting.text(value, Place(method))
    if unnamed:
        found["environment"] = environment({}, Place(method), unnamed, found.get("environment") or {})
    return found


def variables_of(options: Mapping[str, Any]) -> Dict[str, Any]:
    """Turn the options of a module that installs files back into variables of the role."""
    found = {setting.variable: options[setting.option] for setting in SETTINGS if setting.option in options}
    if found.get("kraken_registration_trust") is True:
        found["kraken_registration_trust"] = "attested"
    return found


def refusals(method: str, values: Mapping[str, Any], defaults: Mapping[str, Any], agent: str = OURS) -> List[str]:
    """Say what was set and cannot be honoured: a sentence for each, with what to do.

    Args:
        values: the role's variables.
        defaults: what they are when nobody sets them.
    """
    found = []
    for setting in SETTINGS:
        value = values.get(setting.variable)
        if not setting.is_set(value, defaults.get(setting.variable)):
            continue
        called = f"{setting.variable} {value}" if setting.only else setting.variable
        if method not in setting.methods and setting.instead:
            found.append(f"{called} is not for {_called(method)}. {setting.instead}")
        elif agent == UPSTREAM and setting.upstream:
            found.append(f"{called} is not for Kraken's own agent. {setting.upstream}")
    found += _no_update(method, values) if agent == UPSTREAM else []
    return found + unusable(method, values.get("kraken_agent_environment") or {})


def _no_update(method: str, values: Mapping[str, Any]) -> List[str]:
    """Say why Kraken's own agent cannot replace its own files there, where it is to."""
    if values.get("kraken_agent_update") != "server":
        return []
    if method == WINDOWS:
        reason = "and its service may not do that on Windows hosts"
    elif not values.get("kraken_agent_sudo"):
        reason = "with sudo, which kraken_agent_sudo is to give it"
    elif values.get("kraken_agent_user", ACCOUNT) != ACCOUNT:
        reason = f"and gives them to the account {ACCOUNT}, which kraken_agent_user is to be"
    else:
        return []
    sentence = (
        f"kraken_agent_update server: Kraken's own agent replaces its files itself, {reason}. "
        "One that is older than its server would never take a job. Set kraken_agent_update to managed"
    )
    return [sentence]


def unusable(method: str, given: Mapping[str, Any]) -> List[str]:
    """Say what users gave in kraken_agent_environment that needs more than a variable to work."""
    found = []
    if given.get(NONCE_FILE):
        found.append(
            f"{NONCE_FILE} in kraken_agent_environment names a file that nobody would make. "
            "Set kraken_registration_trust to attested instead"
        )
    if given.get(DATA_DIR) and method == WINDOWS:
        found.append(f"{DATA_DIR} in kraken_agent_environment is not for Windows hosts. Take it out")
    return found


def is_for_connections(name: str) -> bool:
    """Tell whether a variable decides how a server is reached: a proxy, or certificate authorities."""
    return name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "SSL_CERT_DIR")


def _called(method: str) -> str:
    return "Windows hosts" if method == WINDOWS else f"kraken_agent_install_method {method}"
