"""A stand-in for a Windows host: each of its names is an action of the collection ansible.windows in the tests.

No Windows can be had where the tests run. This plays the part of the few modules that the roles use, on a file instead
of a host, and refuses what a host would refuse: arguments that the real module does not document, rights on what is not
there, a service that has no program.
"""

from __future__ import annotations

import hashlib
import json
import os
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.plugin_docs import read_docstring
from ansible.plugins.action import ActionBase

MODULES = Path(sysconfig.get_path("purelib"), "ansible_collections", "ansible", "windows", "plugins", "modules")
SERVICES = "HKLM:\\SYSTEM\\CurrentControlSet\\Services\\"
MACHINE_PATH = "C:\\Windows;C:\\Program Files\\Git\\cmd"


class ActionModule(ActionBase):
    """One call of one module."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        name = self._task.action.rpartition(".")[2]
        file = Path(os.environ["SIMULATED_WINDOWS"])
        before = json.loads(file.read_text())
        state = json.loads(file.read_text())
        arguments = _checked(name, dict(self._task.args))
        result = _MODULES[name](state, arguments) or {}
        changed = result.pop("changed", state != before)
        if state != before and not self._task.check_mode:
            file.write_text(json.dumps(state))
        return {"changed": changed and name != "win_powershell", **result}


def _checked(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with their defaults, as the module's own documentation has them."""
    options = dict(documented(name))
    spec = {
        key: {
            field: option[field] for field in ("type", "elements", "choices", "default", "required") if field in option
        }
        for key, option in options.items()
    }
    checked = ArgumentSpecValidator(spec).validate(json.loads(json.dumps(arguments)))
    if checked.error_messages:
        raise AnsibleActionFail(f"{name}: {'; '.join(checked.error_messages)}")
    return dict(checked.validated_parameters)


def documented(name: str) -> dict[str, dict[str, Any]]:
    """The options of a module of ansible.windows, from its documentation."""
    text = read_docstring(str(MODULES / f"{name}.py"))["doc"]
    return dict((text if isinstance(text, dict) else yaml.safe_load(text))["options"])


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory + "\\")


def _lock(state: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What lock.ps1 does."""
    locks, service = state["locks"], given["Service"]
    if given["Release"]:
        if locks.get(service) == given["Release"]:
            del locks[service]
        return {}
    result = {"deploy": "", "holder": "one of ann, since 2026-01-01 00:00:00 UTC", "path": "C:\\Windows\\lock"}
    if service not in locks:
        locks[service] = "this one"
        result |= {"deploy": "this one", "holder": ""}
    return {"result": result}


def _powershell(state: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    if "CreateNew" in arguments["script"]:
        return _lock(state, arguments["parameters"])
    if "UdpClient" not in arguments["script"]:
        missing = [name for name in ("python", "git") if name not in state["programs"]]
        return {"changed": False, "result": {"python": "", "git": "", "missing": missing}}
    given = arguments["parameters"]
    settings = state["registry"].get(f"{SERVICES}{given['Service']}\\Parameters", {})
    versions = f"{given['Directory']}\\versions\\"
    releases = [path.removeprefix(versions) for path in state["directories"] if path.startswith(versions)]
    result = {
        "address": state["address"],
        "path": MACHINE_PATH,
        "python": "C:\\Program Files\\Python312\\python.exe" if "python" in state["programs"] else "",
        "command": settings.get("AppParameters", ""),
        "exists": given["Service"] in state["services"],
        "releases": releases[::-1],
    }
    return {"changed": False, "result": result}


def _package(state: dict[str, Any], arguments: dict[str, Any]) -> None:
    for name in ("python", "git"):
        if name in arguments["creates_path"].lower() and name not in state["programs"]:
            state["programs"].append(name)


def _file(state: dict[str, Any], arguments: dict[str, Any]) -> None:
    path = arguments["path"]
    if arguments["state"] == "directory":
        if path not in state["directories"]:
            state["directories"].append(path)
        return
    state["directories"] = [each for each in state["directories"] if not _inside(each, path)]
    state["files"] = {each: value for each, value in state["files"].items() if not _inside(each, path)}
    running = [name for name, service in state["services"].items() if service["state"] == "started"]
    assert not any(_inside(state["services"][name]["path"].strip('"'), path) for name in running), "files are in use"


def _copy(state: dict[str, Any], arguments: dict[str, Any]) -> None:
    directory = arguments["dest"].rpartition("\\")[0]
    if directory not in state["directories"]:
        raise AnsibleActionFail(f"{directory} does not exist")
    if arguments.get("remote_src"):
        state["files"][arguments["dest"]] = state["files"][arguments["src"]]
        return
    content = Path(arguments["src"]).read_bytes() if arguments["src"] else arguments["content"].encode()
    state["files"][arguments["dest"]] = hashlib.sha256(content).hexdigest()


def _acl(state: dict[str, Any], arguments: dict[str, Any]) -> None:
    path, user = arguments["path"], arguments["user"]
    if path not in state["directories"] and path not in state["registry"]:
        raise AnsibleActionFail(f"{path} file or directory does not exist on the host")
    if user.startswith("NT SERVICE\\") and user.removeprefix("NT SERVICE\\") not in state["services"]:
        raise AnsibleActionFail(f"{user} is not a valid user or group")
    state["rights"].setdefault(path, {"inherits": True})[user] = arguments["rights"]


def _inheritance(state: dict[str, Any], arguments: dict[str, Any]) -> None:
    if arguments["path"] not in state["rights"]:
        raise AnsibleActionFail(f"nobody could use {arguments['path']} any more")
    state["rights"][arguments["path"]]["inherits"] = arguments["state"] == "present"


def _service(state: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any] | None:
    name, wanted = arguments["name"], arguments["state"]
    if wanted == "absent":
        state["services"].pop(name, None)
        state["registry"] = {
            key: value for key, value in state["registry"].items() if not _inside(key, SERVICES + name)
        }
        return None
    if name not in state["services"] and not arguments["path"]:
        raise AnsibleActionFail(f"service {name} is not installed")
    service = state["services"].setdefault(name, {"state": "stopped"})
    service |= {key: arguments[key] for key in ("path", "username", "start_mode") if arguments[key]}
    if wanted in ("started", "restarted"):
        program = service["path"].strip('"')
        settings = state["registry"].get(f"{SERVICES}{name}\\Parameters", {})
        agent = settings.get("AppParameters", '""').split('"')[1]
        for needed in (program, agent):
            if needed not in state["files"]:
                raise AnsibleActionFail(f"service {name} cannot be started: there is no {needed!r}")
        service["state"] = "started"
        return {"changed": True} if wanted == "restarted" else None
    if wanted:
        service["state"] = wanted
    return None


def _regedit(state: dict[str, Any], arguments: dict[str, Any]) -> None:
    state["registry"].setdefault(arguments["path"], {})[arguments["name"]] = arguments["data"]


_MODULES: dict[str, Callable[[dict[str, Any], dict[str, Any]], dict[str, Any] | None]] = {
    "win_acl": _acl,
    "win_acl_inheritance": _inheritance,
    "win_copy": _copy,
    "win_file": _file,
    "win_package": _package,
    "win_powershell": _powershell,
    "win_regedit": _regedit,
    "win_service": _service,
}
