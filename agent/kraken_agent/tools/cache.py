"""The tool `cache`: keeps directories between jobs under a key.

Step fields: `action` (`save`, `restore`), `key` or `keys`, `paths`; the server adds the folders, one for each key. The
objects are upstream's, so agents of both kinds share a cache: `FOLDER/JOB/NAME.tar.gz` for each path, and
`FOLDER/JOB/meta.json`, written last, which says what path each archive is.
"""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from kraken_agent.tools.object_store import ObjectStore, open_store_for
from kraken_agent.tools.output import say
from kraken_agent.tools.paths import temporary_directory
from kraken_agent.tools.s3 import StoreError

Outcome = Tuple[int, str]

_META = "meta.json"


def run(step: Mapping[str, Any]) -> Outcome:
    """Save or restore. A cache that cannot be restored is a warning: the job only takes longer."""
    action = step.get("action")
    try:
        store = open_store_for(action, ("save", "restore"), step)
    except StoreError as error:
        return 1, str(error)
    # Archives pass through a file: a store that is asked again needs the same bytes again, and memory stays small.
    workshop = temporary_directory("cache")
    try:
        if action == "save":
            return _save(store, step, workshop)
        return _restore(store, step, workshop)
    except StoreError as error:
        return 1, str(error)
    finally:
        store.close()
        shutil.rmtree(workshop, ignore_errors=True)


def expanded(path: str) -> str:
    """Return a path with `$VARIABLES` and `~` filled in."""
    return os.path.expandvars(os.path.expanduser(path))


def _save(store: ObjectStore, step: Mapping[str, Any], workshop: Path) -> Outcome:
    key, folder = next(iter(step["minio_folder"].items()))
    bucket, place = str(step["minio_bucket"]), f"{folder}/{step['job_id']}"
    meta: Dict[str, str] = {}
    for path in map(expanded, step.get("paths") or ()):
        if not Path(path).exists():
            return 1, f"path {path!r} does not exist"
        name = f"{path.strip('/').replace('/', '_')}.tar.gz"
        archive = workshop / "archive"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(path)
        size = store.put_file(bucket, f"{place}/{name}", archive)
        say(f"saved {path} under {key!r}, {size} bytes")
        meta[name] = path
    if not meta:
        return 1, "there are no paths to save"
    (workshop / _META).write_text(json.dumps(meta), encoding="utf-8")
    store.put_file(bucket, f"{place}/{_META}", workshop / _META)
    return 0, ""


def _restore(store: ObjectStore, step: Mapping[str, Any], workshop: Path) -> Outcome:
    """Restore every key that is there, the first one last: what a more exact key holds wins over its fallbacks."""
    bucket = str(step["minio_bucket"])
    for key, folder in reversed(list(step["minio_folders"].items())):
        place = _latest(store, bucket, folder)
        if place is None:
            say(f"nothing is cached under {key!r}")
            continue
        store.get_file(bucket, f"{place}/{_META}", workshop / _META)
        for name, path in json.loads((workshop / _META).read_text(encoding="utf-8")).items():
            archive = workshop / "archive"
            store.get_file(bucket, f"{place}/{name}", archive)
            _unpack(archive, path)
            say(f"restored {path} from {key!r}")
    return 0, ""


def _latest(store: ObjectStore, bucket: str, folder: str) -> Optional[str]:
    """Return the folder of the latest job whose cache is complete."""
    jobs: List[int] = []
    for entry in store.list_objects(bucket, f"{folder}/"):
        job, _, name = entry.name[len(folder) + 1 :].partition("/")
        if name == _META and job.isdigit():
            # The file is written last, so a job that was killed while it saved has none.
            jobs.append(int(job))
    return f"{folder}/{max(jobs)}" if jobs else None


def _unpack(archive: Path, path: str) -> None:
    """Unpack what was saved from a path to that path, and nothing to anywhere else."""
    existed = Path(path).exists()
    base = Path("/") if path.startswith("/") else Path()
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                _check_member(member, base, base / path.strip("/"))
                _extract(tar, member, base)
    except (OSError, tarfile.TarError, EOFError, ValueError) as error:
        say(f"{path} could not be restored: {error}")
        if not existed:
            shutil.rmtree(path, ignore_errors=True)


def _check_member(member: tarfile.TarInfo, base: Path, allowed: Path) -> None:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise ValueError(f"{member.name!r} is neither file, directory nor link")
    home = allowed.resolve()
    for name in [member.name] + ([member.linkname] if member.islnk() else []):
        # Only what leads to the name is resolved: the name itself may be a link that is replaced.
        target = base / name.lstrip("/")
        real = target.parent.resolve() / target.name
        if (real != home and home not in real.parents) or ".." in Path(name).parts:
            raise ValueError(f"{name!r} leads out of {allowed}")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, base: Path) -> None:
    if hasattr(tarfile, "fully_trusted_filter"):
        # The check above is stricter about places, and lets absolute links through, which caches of tools have.
        tar.extract(member, base, filter="fully_trusted")
    else:
        tar.extract(member, base)
