"""The state directory, and what is in it: past playbook runs, where agents connected from, how reconciliations ended.

What one command writes there another one reads.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from kraken_fleet import whole_file
from kraken_fleet.model import Deploy, HostResult, TaskResult

# Enough to see a pattern; older files are removed when a new one is written.
KEPT = 50


def state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Say where kraken-fleet keeps what it remembers: KRAKEN_FLEET_STATE_DIR, else the XDG state directory."""
    if environ.get("KRAKEN_FLEET_STATE_DIR"):
        return Path(environ["KRAKEN_FLEET_STATE_DIR"])
    if environ.get("XDG_STATE_HOME"):
        return Path(environ["XDG_STATE_HOME"]) / "kraken-fleet"
    try:
        return Path.home() / ".local" / "state" / "kraken-fleet"
    except RuntimeError:  # neither HOME nor an entry for the account, as in some containers
        return Path(tempfile.gettempdir()) / f"kraken-fleet-{os.getuid()}"


def save_deploy(deploy: Deploy, directory: Path) -> Path:
    """Write one run and forget the oldest.

    Args:
        deploy: the run.
        directory: the state directory.

    Raises:
        OSError: the directory cannot be written.
    """
    folder = directory / "deploys"
    # The message of a failure may quote anything.
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    stamp = deploy.started.replace(":", "").replace("-", "")
    path = folder / f"{stamp}-{os.getpid()}.json"
    write_json(path, asdict(deploy))
    for old in sorted(folder.glob("*.json"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def recent_deploys(directory: Path, limit: int = 10) -> list[Deploy]:
    """Return the runs, the newest first; a file that cannot be read is left out."""
    found = []
    for path in sorted((directory / "deploys").glob("*.json"), reverse=True):
        try:
            found.append(_read_deploy(path))
        except (OSError, ValueError, TypeError, KeyError):
            continue
        if len(found) == limit:
            break
    return found


def find_deploy(directory: Path, deploy_id: str) -> Deploy | None:
    """Return one run by its id; None when it is not kept, or its file cannot be read."""
    path = next((path for path in (directory / "deploys").glob("*.json") if path.stem == deploy_id), None)
    try:
        return _read_deploy(path) if path else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def earlier_peers(directory: Path, server: str) -> dict[str, str]:
    """Return where the agents of a server connected from when they were looked at before, by the agents' addresses.

    Args:
        directory: the state directory.
        server: the server's URL.
    """
    try:
        kept = json.loads(_peers_file(directory, server).read_text(encoding="utf-8"))
        return {str(address): str(peer) for address, peer in kept["peers"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def keep_peers(directory: Path, server: str, peers: Mapping[str, str]) -> None:
    """Write down where the agents of a server connect from; a directory that cannot be written keeps nothing."""
    with contextlib.suppress(OSError):
        replace_json(_peers_file(directory, server), {"server": server, "peers": dict(sorted(peers.items()))})


@dataclass(frozen=True, slots=True)
class ReconcileResult:
    """How the last reconciliation of a server ended.

    Args:
        ended: when, ISO 8601, UTC.
        message: why it failed; empty when it did not.
        hint: what to do then.
        failures: agents and groups that could not be changed.
    """

    ended: str
    message: str = ""
    hint: str = ""
    failures: tuple[str, ...] = ()


def keep_reconcile_result(directory: Path, server: str, result: ReconcileResult) -> None:
    """Write it down; a directory that cannot be written keeps nothing."""
    with contextlib.suppress(OSError):
        replace_json(_result_file(directory, server), {"server": server, **asdict(result)})


def last_reconcile_result(directory: Path, server: str) -> ReconcileResult | None:
    """Return it; None when this account has reconciled no such server."""
    try:
        kept = json.loads(_result_file(directory, server).read_text(encoding="utf-8"))
        failures = tuple(str(one) for one in kept["failures"])
        return ReconcileResult(str(kept["ended"]), str(kept["message"]), str(kept["hint"]), failures)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def replace_json(path: Path, content: object) -> None:
    """Write a file that only its owner can read, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(path, content)


def write_json(path: Path, content: object) -> None:
    """Do the same in a directory that has to be there.

    Raises:
        OSError: it cannot be written.
    """
    whole_file.write(path, json.dumps(content, indent=1), whole_file.OWNER_ONLY)


def digest_of(text: str) -> str:
    """Return the name of a file that is about something whose name may be anything."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _peers_file(directory: Path, server: str) -> Path:
    return directory / "peers" / f"{digest_of(server)}.json"


def _result_file(directory: Path, server: str) -> Path:
    return directory / "reconcile" / f"{digest_of(server)}.json"


def _read_deploy(path: Path) -> Deploy:
    data = json.loads(path.read_text(encoding="utf-8"))
    hosts, tasks = data.pop("hosts"), data.pop("tasks", [])
    if not isinstance(hosts, dict):
        raise TypeError("hosts is not an object")
    return Deploy(
        **{**data, "id": path.stem},
        hosts={name: _host(result) for name, result in hosts.items()},
        tasks=tuple(TaskResult(**task) for task in tasks),
    )


def _host(data: dict[str, object]) -> HostResult:
    changes = data.pop("changes", ())
    if not isinstance(changes, list | tuple):
        raise TypeError("changes is not a list")
    return HostResult(**data, changes=tuple(str(one) for one in changes))  # type: ignore[arg-type]
