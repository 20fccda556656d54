"""What a step gets beside its own fields: secrets in place of their names, and where the object store is.

Bucket and folder names are those of kraken/server/minioops.py 1.7.36. The embedded server has no object store of its
own: it passes on `general.minio_addr`, and does not make buckets there.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from sqlalchemy.orm import Session

from kraken_fleet.server.core import Core, setting
from kraken_fleet.server.intake import RefusedError
from kraken_fleet.server.store.tables import Project, Step

log = logging.getLogger(__name__)

_SCP_URL = re.compile(r"(?:ssh://)?[\w.-]+@([\w.-]+)(?::\d+)?[:/](.+)")


def add_extras(core: Core, session: Session, step: Step, data: dict[str, Any]) -> None:
    """Add to a step's JSON what its tool needs.

    Raises:
        KeyError: a secret that the step names is not there any more.
    """
    run = step.job.run
    _put_secrets(run.flow.branch.project, data)
    if data["tool_location"].startswith("/bk/"):
        # An uploaded tool is kept by this server, wherever that is today.
        data["tool_location"] = setting(session, "general", "server_url").rstrip("/") + data["tool_location"]
    branch_id = run.flow.branch_id
    match data["tool"]:
        case "git":
            folder = re.sub(r"[/:.]", "_", data["checkout"])
            data |= {"minio_bucket": f"{branch_id:08d}-git", "minio_folder": folder}
            if address := https_address(data["checkout"]):
                data["http_url"] = address
        case "artifacts":
            data["minio_bucket"] = f"{branch_id:08d}"
            data.setdefault("destination", ".")
        case "cache":
            keys = [data["key"]] if "key" in data else data["keys"]
            place = f"{run.stage_id}-{step.job.name.replace(' ', '_')}"
            folders = {key: f"{place}/{key}" for key in keys}
            data["minio_bucket"] = f"{branch_id:08d}-cache"
            data["minio_folder" if data["action"] == "save" else "minio_folders"] = folders
        case _ if not data["tool_location"].startswith("minio:"):
            return
    data["minio_addr"] = setting(session, "general", "minio_addr")
    data["minio_access_key"] = core.settings.minio_access_key
    data["minio_secret_key"] = core.settings.minio_secret_key


def store_data(core: Core, step: Step, text: Any) -> None:
    """Do the data tool's `set` operation: keep JSON with the flow, branch or project, whole or under a JSON pointer.

    `jq` and `jsonpatch` need libraries that the embedded server does without; they are logged and left out.
    """
    fields = step.fields
    operation = fields.get("operation", "set")
    if operation != "set":
        log.warning("job %s: the data operation %s is not offered by this server", step.job_id, operation)
        return
    flow = step.job.run.flow
    scope = fields.get("scope") or "flow"
    owner = flow if scope == "flow" else flow.branch
    try:
        value = core.intake.decode(str(fields.get("value") or text).encode("utf-8", "surrogatepass"))
    except RefusedError as error:
        log.warning("job %s: the data is not kept: %s", step.job_id, error.words)
        return
    parts = [part for part in str(fields.get("json_pointer", "/")).split("/") if part]
    owner.user_data = _placed(owner.user_data, parts, value)


def _placed(data: Any, parts: list[str], value: Any) -> Any:
    if not parts:
        return value
    inner = dict(data) if isinstance(data, dict) else {}
    inner[parts[0]] = _placed(inner.get(parts[0]), parts[1:], value)
    return inner


def _put_secrets(project: Project, data: dict[str, Any]) -> None:
    secrets = {secret.name: secret.data for secret in project.secrets if secret.deleted is None}
    if "ssh-key" in data:
        found = secrets[data["ssh-key"]]
        data["ssh-key"] = {"username": found["username"], "key": found["key"]}
    if "access-token" in data:
        data["access-token"] = secrets[data["access-token"]]["secret"]


def https_address(url: str) -> str:
    """Return the same repository over HTTPS; empty when its address does not say how."""
    if url.startswith("https://"):
        return url
    if url.startswith("http://"):
        return url.replace("http", "https", 1)
    found = _SCP_URL.fullmatch(url)
    return f"https://{found[1]}/{found[2]}" if found else ""
