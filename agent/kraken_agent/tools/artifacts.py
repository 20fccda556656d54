"""The tool `artifacts`: puts a job's files into the store, and gets files of earlier runs of the same flow from it.

Step fields: `action` (`upload`, `download`), `source` (a path or a list: files, directories, patterns), `destination`,
`cwd`; `public` and `report_entry` are the server's business. An object is named `FLOW/RUN/DESTINATION/PATH` in the
bucket of the branch, as upstream names it.
"""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from kraken_agent.tools.object_store import ObjectStore, open_store_for
from kraken_agent.tools.output import say
from kraken_agent.tools.paths import (
    as_list,
    has_glob,
    inside,
    join_object,
    matching_files,
    object_path,
    working_directory,
)
from kraken_agent.tools.s3 import StoredObject, StoreError

Outcome = Tuple[int, str]
Report = Callable[[Dict[str, Any]], None]

_NOTHING_FOUND = 2


def run_artifacts(step: Mapping[str, Any], report_artifact: Report) -> Outcome:
    """Upload or download; each uploaded file is reported as `{"path", "size"}`."""
    action = str(step.get("action") or "upload")
    try:
        store = open_store_for(action, ("upload", "download"), step)
    except StoreError as error:
        return 1, str(error)
    try:
        if action == "download":
            return _download(store, step)
        return _upload(store, step, report_artifact)
    except (StoreError, ValueError) as error:
        return 1, f"problem with {action}: {error}"
    finally:
        store.close()


def _upload(store: ObjectStore, step: Mapping[str, Any], report: Report) -> Outcome:
    base = working_directory(step)
    bucket, run_prefix = str(step["minio_bucket"]), f"{step['flow_id']}/{step['run_id']}"
    for source in as_list(step["source"]):
        count = 0
        for path in matching_files(base, source):
            name = join_object(str(step.get("destination") or "."), object_path(base, path))
            size = store.put_file(bucket, join_object(run_prefix, name), path)
            say(f"stored {path} -> {name}, {size} bytes")
            report({"path": name, "size": size})
            count += 1
        if count == 0 and not has_glob(source):
            return 1, f"file {base / source} not found for upload"
        if count == 0:
            say(f"no files found for {source}")
    return 0, ""


def _download(store: ObjectStore, step: Mapping[str, Any]) -> Outcome:
    bucket, flow, own_run = str(step["minio_bucket"]), str(step["flow_id"]), str(step["run_id"])
    sources = [source.strip("/") for source in as_list(step["source"])]
    target = working_directory(step) / str(step.get("destination") or ".")
    missing = ""
    # The latest run that has all of the sources: files of different runs are never mixed.
    for run, objects in _runs(store, bucket, flow, own_run):
        chosen, missing = _choose(objects, sources)
        if not missing:
            return _fetch(store, bucket, f"{flow}/{run}", chosen, target)
    if missing:
        return 1, f"problem with downloading {missing}: not found in any earlier run of this flow"
    return _NOTHING_FOUND, "cannot find files to download: no earlier run of this flow has stored any"


def _runs(store: ObjectStore, bucket: str, flow: str, own_run: str) -> Sequence[Tuple[str, List[StoredObject]]]:
    """Return what other runs of the flow have stored, the latest run first; names begin after the run's number."""
    runs: Dict[str, List[StoredObject]] = {}
    for entry in store.list_objects(bucket, f"{flow}/"):
        run, _, name = entry.name[len(flow) + 1 :].partition("/")
        if run.isdigit() and run != own_run and name:
            runs.setdefault(run, []).append(StoredObject(name, entry.size))
    return sorted(runs.items(), key=lambda item: int(item[0]), reverse=True)


def _choose(objects: Sequence[StoredObject], sources: Sequence[str]) -> Tuple[List[str], str]:
    """Return the names that the sources mean, and the first source that means none."""
    chosen: List[str] = []
    for source in sources:
        names = [entry.name for entry in objects if _means(source, entry.name)]
        if not names:
            return [], source
        chosen.extend(name for name in names if name not in chosen)
    return chosen, ""


def _means(source: str, name: str) -> bool:
    if source in ("", "."):
        return True
    if has_glob(source):
        return fnmatch.fnmatchcase(name, source)
    return name == source or name.startswith(source + "/")


def _fetch(store: ObjectStore, bucket: str, prefix: str, names: Sequence[str], target: Path) -> Outcome:
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = inside(target, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        size = store.get_file(bucket, f"{prefix}/{name}", path)
        say(f"downloaded {prefix}/{name} -> {target / name}, {size} bytes")
    return 0, ""
