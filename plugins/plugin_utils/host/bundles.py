# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that `agent_host` sends to hosts: built when needed, checked, and read, on the controller."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import ssl
import urllib.request
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.installed import agent_of
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import OURS

from kraken_fleet import bundle, whole_file
from kraken_fleet.address import ServerAddress
from kraken_fleet.bundle import signature
from kraken_fleet.bundle.archive import unpack
from kraken_fleet.errors import BundleError

NAMES = ("kkagent", "kktool")
# What a Kraken server calls them (kraken/server/agentblob.py, 1.7.36).
_BLOBS = {"kkagent": "agent", "kktool": "tool"}
# A build that another one has not replaced for that many builds is not coming back.
_KEPT_BUILDS = 3


def sent_files(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments `binaries` and `bundle_version` of the module on the host.

    Args:
        arguments: the task's `bundle`, `bundle_sha256`, `bundle_url` and `bundle_version`; with `source: server` or
            `script`, the release that `server_url` serves, which the host downloads itself unless `download` is
            controller. With `bundle_allowed_signers` all that is read here is checked, and the text of that file
            (`allowed_signers`) goes to a host that downloads what was not.

    Raises:
        BundleError: the files are missing, damaged or not signed, or it is not said what they should be.
    """
    if arguments.get("bundle_allowed_signers") and arguments.get("update") == "server":
        hint = "Set kraken_agent_update to managed, or take kraken_agent_bundle_allowed_signers out"
        raise BundleError(
            "What the agent then fetches from its server is not signed", where="kraken_agent_update", hint=hint
        )
    wanted = {str(name): str(value) for name, value in (arguments.get("bundle_sha256") or {}).items()}
    version = str(arguments.get("bundle_version") or "")
    if arguments.get("source") in ("server", "script"):
        return _of_server(arguments, wanted, version)
    if url := str(arguments.get("bundle_url") or ""):
        return _downloaded_by_host(url, wanted, version, allowed_signers(arguments))
    given, signers = str(arguments.get("bundle") or ""), allowed_signers(arguments)
    directory = Path(given).expanduser() if given else built()
    if wanted or version or signers:
        return _of_directory(directory, wanted, version, signers)
    return _kept(directory)


def _kept(directory: Path) -> dict[str, Any]:
    """Return what was read of a directory while its files are the same; else each host of a play has it packed anew."""
    try:
        # This file too: it says what is kept.
        mark = _mark_of([Path(__file__), *(directory.resolve() / name for name in NAMES)])
    except OSError:
        return _of_directory(directory, {}, "", None)  # which says what is missing
    kept = cache_directory() / "sent" / f"{mark}.json"
    try:
        found: dict[str, Any] = json.loads(kept.read_text(encoding="ascii"))
    except (OSError, ValueError):
        found = _of_directory(directory, {}, "", None)
        with contextlib.suppress(OSError):
            _keep(kept, found)
    return found


def _keep(path: Path, found: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for older in sorted(path.parent.glob("*.json"), key=lambda one: one.stat().st_mtime)[: -_KEPT_BUILDS + 1]:
        older.unlink(missing_ok=True)
    whole_file.write(path, json.dumps(found), whole_file.OWNER_ONLY)  # Another host's process may be reading it.


def _mark_of(paths: Iterable[Path]) -> str:
    mark = hashlib.sha256()
    for path in paths:
        stat = path.stat()
        # The ctime too: whoever changes a file can set its mtime back, and not its ctime.
        mark.update(f"{path} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}\n".encode())
    return mark.hexdigest()[:32]


def _of_directory(directory: Path, wanted: Mapping[str, str], version: str, signers: Path | None) -> dict[str, Any]:
    found = [_file(directory / name, wanted.get(name), signers) for name in NAMES]
    return {
        "bundle_version": version or found[0]["version"] or "custom",
        "self_checking": bool(_own_version(directory / NAMES[0])),
        "agent": agent_of((directory / NAMES[0]).read_bytes()),
        "binaries": [{key: one[key] for key in ("name", "sha256", "content")} for one in found],
    }


def built() -> Path:
    """Return a directory with the bundles of the agent that is installed here; built when its source is a new one.

    Raises:
        BundleError: they cannot be built.
    """
    cache = cache_directory() / "bundles"
    directory = cache / _source_mark()
    if all((directory / name).is_file() for name in NAMES):
        return directory
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one worker of a play builds, the others wait for it
        bundle.build(directory)
        _forget_old(cache)
    return directory


def cache_directory() -> Path:
    """Say where the controller keeps what it has built or fetched for hosts."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kraken-fleet"


def _source_mark() -> str:
    """Return a mark that changes with every file of the agent's source: a host should not wait for packing it again."""
    package = bundle.contents.agent_package()
    mark = hashlib.sha256(str(package).encode())
    for path in sorted(package.rglob("*.py")):
        stat = path.stat()
        mark.update(f"{path.relative_to(package)} {stat.st_mtime_ns} {stat.st_size}\n".encode())
    mark.update(str(Path(bundle.__file__).stat().st_mtime_ns).encode())
    return mark.hexdigest()[:16]


def _forget_old(cache: Path) -> None:
    builds = sorted((path for path in cache.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in builds[:-_KEPT_BUILDS]:
        shutil.rmtree(path, ignore_errors=True)


def allowed_signers(arguments: Mapping[str, Any]) -> Path | None:
    """Return the file with the keys that may sign bundles; None when signatures are not asked for."""
    given = str(arguments.get("bundle_allowed_signers") or "")
    return Path(given).expanduser() if given else None


def check_served(content: bytes, url: str, signers: Path | None, ca_bundle: str = "") -> None:
    """Check what was fetched from a URL by the signature beside it, when signatures are asked for.

    Raises:
        BundleError: it is not signed by anybody who may.
    """
    if signers is None:
        return
    try:
        signed = fetched(url + signature.SUFFIX, ca_bundle)
    except BundleError:
        signed = b""
    signature.check(content, signed, signers, url)


def _file(path: Path, wanted: str | None, signers: Path | None) -> dict[str, str]:
    """Read one file with its version.

    With a checksum it may be anybody's, without one it has to be a bundle of ours.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        hint = "kraken_agent_bundle names a directory with the files kkagent and kktool; leave it empty to build them"
        raise BundleError(f"The bundle cannot be read: {error.strerror}", where=str(path), hint=hint) from error
    sha256 = hashlib.sha256(content).hexdigest()
    if wanted is None:
        bundle.inspect(path)  # says what is wrong with a file that is not ours, or damaged
    elif wanted.lower() != sha256:
        hint = "Nothing was changed on the host. Get the file again, or correct kraken_agent_bundle_sha256"
        raise BundleError(f"The file is damaged: its sha256 is {sha256}, expected {wanted}", where=str(path), hint=hint)
    if signers:
        signature.check_file(path, signers)
    return {
        "name": path.name,
        "version": _own_version(path),
        "sha256": sha256,
        "content": base64.b64encode(zlib.compress(content)).decode("ascii"),
    }


def _own_version(path: Path) -> str:
    """Return the version of a bundle that kraken-fleet has built; empty for another agent's file."""
    try:
        return bundle.inspect(path).version
    except BundleError:
        return ""


def version_in(content: bytes) -> str:
    """Return the same for a file's content."""
    try:
        return unpack(content, Path(NAMES[0])).version
    except BundleError:
        return ""


def _of_server(arguments: Mapping[str, Any], wanted: Mapping[str, str], version: str) -> dict[str, Any]:
    """Fetch the files of a server to the controller, in any case: their sha256 decides whether a host has them."""
    base = ServerAddress.parse(str(arguments.get("server_url") or "")).install
    own, agent = "", OURS
    found = []
    for name, blob in _BLOBS.items():
        content = fetched(f"{base}/{blob}", str(arguments.get("ca_bundle") or ""))
        sha256 = hashlib.sha256(content).hexdigest()
        if wanted.get(name, sha256).lower() != sha256:
            hint = "Correct kraken_agent_bundle_sha256, or see who has changed the server's file"
            raise BundleError(f"Its sha256 is {sha256}, expected {wanted[name]}", where=f"{base}/{blob}", hint=hint)
        check_served(content, f"{base}/{blob}", allowed_signers(arguments), str(arguments.get("ca_bundle") or ""))
        if name == NAMES[0]:
            own, agent = version_in(content), agent_of(content)
        one = {"name": name, "sha256": sha256}
        if arguments.get("download") == "controller":
            one["content"] = base64.b64encode(zlib.compress(content)).decode("ascii")
        else:
            one["url"] = f"{base}/{blob}"
        found.append(one)
    return {
        "bundle_version": version or own or "server",
        "self_checking": bool(own),
        "agent": agent,
        "binaries": found,
    }


def fetched(url: str, ca_bundle: str = "") -> bytes:
    """Fetch a file of a Kraken server.

    Args:
        ca_bundle: a file with certificate authorities to trust besides those of this machine.

    Raises:
        BundleError: there is no such file.
    """
    try:
        context = ssl.create_default_context()
        if ca_bundle:
            context.load_verify_locations(cafile=Path(ca_bundle).expanduser())
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        with opener.open(url, timeout=60.0) as answer:
            content = bytes(answer.read())
    except (OSError, ValueError) as error:
        raise _not_served(url, str(error)) from error
    if content.lstrip()[:1] in (b"<", b""):
        raise _not_served(url, "it answers with a page")  # what a console gives for every path
    return content


def _not_served(url: str, why: str) -> BundleError:
    hint = "The server has these files only when it was started with KKAGENT_DIR; else install from a bundle"
    return BundleError(f"The server does not give its agent: {why}", where=url, hint=hint)


def _downloaded_by_host(url: str, wanted: Mapping[str, str], version: str, signers: Path | None) -> dict[str, Any]:
    missing = [name for name in NAMES if name not in wanted]
    if missing or not version:
        raise BundleError(
            "The version and the checksums of what hosts download have to be given",
            where="kraken_agent_bundle_url",
            hint="Set kraken_agent_bundle_version, and kraken_agent_bundle_sha256 for "
            + " and ".join(missing or NAMES),
        )
    base = url.rstrip("/")
    binaries = [{"name": name, "sha256": wanted[name], "url": f"{base}/{name}"} for name in NAMES]
    return {
        "bundle_version": version,
        "agent": "",  # the host looks into the file
        "binaries": binaries,
        "allowed_signers": signature.read(signers) if signers else "",
    }
