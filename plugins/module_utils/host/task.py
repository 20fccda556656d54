"""What a task `agent_host` comes to on its host: from the parameters that the controller sends to its answer."""

from __future__ import annotations

import base64
import binascii
import os
import zlib
from typing import Any, Dict, List, Mapping, Optional

from . import converge
from .certificates import trusting
from .changes import Change, HostError, apply_all, as_result
from .checks import run_checks
from .installed import known_agent
from .lock import held
from .others import Place
from .release import Binary, Release
from .setting import UPSTREAM
from .spec import AgentSpec
from .spec_of import specs_of


def answer(parameters: Mapping[str, Any]) -> Dict[str, Any]:
    """Bring the agents of this host to their wanted state, unless a check of the preflight fails.

    Args:
        parameters: those of the module, checked, and: `binaries`, the files of a release; `self_checking`, whether the
            agent in it is kraken-fleet's own; `agent`, whose it is, empty to look into the file; `upstream_refusals`,
            what could not be done with Kraken's own, in sentences; `checks`, what to call `run_checks` with, None to
            leave it; `ca_bundle` and `allowed_signers`, the texts of these files; `predict`, whether to change nothing.
    """
    try:
        with trusting(parameters["ca_bundle"]):
            return _checked_and_brought_about(parameters)
    except HostError as error:
        return {"failed": True, "msg": str(error)}
    except OSError as error:
        return {"failed": True, "msg": f"{error.strerror or error}: {error.filename or 'on this host'}"}


def _checked_and_brought_about(parameters: Mapping[str, Any]) -> Dict[str, Any]:
    findings: List[Dict[str, Any]] = run_checks(**parameters["checks"]) if parameters["checks"] else []
    if any(finding["ok"] is False for finding in findings):
        return {"changed": False, "findings": findings}
    if parameters["predict"]:
        return {**_brought_about(parameters), "findings": findings}
    with held(os.path.abspath(parameters["dir"]), parameters["lock_timeout"]):
        return {**_brought_about(parameters), "findings": findings}


def _brought_about(parameters: Mapping[str, Any]) -> Dict[str, Any]:
    if parameters["state"] == "present":
        parameters = known_agent(parameters)
    specs = specs_of(parameters)
    if parameters["state"] == "present" and any(spec.agent == UPSTREAM for spec in specs):
        refused = parameters.get("upstream_refusals")
        if refused:
            raise HostError(". ".join(refused))
    root = os.geteuid() == 0
    beside = converge.agents_beside(specs) if parameters["state"] == "present" else []
    changes = (
        _absent(parameters, specs, root)
        if parameters["state"] == "absent"
        else _present(parameters, specs, beside, root=root)
    )
    told = converge.other_agents(specs, beside) if parameters["state"] == "present" else []
    answer = {**as_result(changes), "agents": [converge.state(spec) for spec in specs]}
    return {**answer, "warnings": told} if told else answer


def _absent(parameters: Mapping[str, Any], specs: List[AgentSpec], root: bool) -> List[Change]:
    keep = {name: parameters[name] for name in ("keep_data", "keep_user")}
    changes = converge.removed(specs, root=root, **keep)
    if not parameters["predict"]:
        apply_all(changes)
    return changes


def _present(parameters: Mapping[str, Any], specs: List[AgentSpec], beside: List[Place], *, root: bool) -> List[Change]:
    release, scripted = _release(parameters), converge.by_script(specs)
    if not parameters["predict"]:
        apply_all(scripted)  # what it leaves is looked at below
    changes = converge.present(specs, release, root=root, releases=parameters["releases"], beside=beside)
    if not parameters["predict"]:
        apply_all(changes)
    known = [change.what for change in scripted]  # when nothing is applied they are still to be made
    return [*scripted, *(change for change in changes if change.what not in known)]


def _release(parameters: Mapping[str, Any]) -> Optional[Release]:
    signers = parameters["allowed_signers"]
    binaries = [
        Binary(one["name"], one["sha256"], _content(one), one.get("url", ""), signers) for one in parameters["binaries"]
    ]
    return Release(parameters["bundle_version"], binaries, parameters["self_checking"]) if binaries else None


def _content(binary: Mapping[str, Any]) -> Optional[bytes]:
    if "content" not in binary:
        fetched: Optional[bytes] = binary.get("fetched")
        return fetched
    try:
        return zlib.decompress(base64.b64decode(binary["content"], validate=True))
    except (binascii.Error, zlib.error) as error:
        raise HostError(f"{binary['name']} arrived damaged: {error}") from error
