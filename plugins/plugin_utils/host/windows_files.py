# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is copied to a Windows host: an agent that runs there, and NSSM, which makes a service of it."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.release import Binary, Release
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.bundles import (
    allowed_signers,
    cache_directory,
    check_served,
    fetched,
    sent_files,
    version_in,
)

from kraken_fleet import whole_file
from kraken_fleet.address import ServerAddress
from kraken_fleet.errors import BundleError

# What a Kraken server serves for its Windows agents (kraken/server/agentblob.py, 1.7.36), as nssm.cc has released it.
NSSM = "nssm-2.24.zip"
NSSM_SHA256 = "727d1e42275c605e0f04aba98095c38a8e1e46def453cdffce42869428aa6743"
_NSSM_PROGRAM = "/win64/nssm.exe"
_OURS = "kraken-fleet's own agent does not run on Windows"
_ANOTHER = (
    "Set kraken_agent_source to server, or kraken_agent_bundle with kraken_agent_bundle_sha256, for Kraken's own agent"
)


def prepared(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Put the files of a release into the controller's cache.

    Args:
        arguments: those of the module agent_release.

    Returns:
        `release`, its name, and `directory`, which holds kkagent, kktool and nssm.exe.

    Raises:
        BundleError: a file is missing, damaged, or not for Windows.
    """
    if arguments["source"] == "bundle" and not arguments["bundle"] and not arguments["bundle_url"]:
        raise BundleError(_OURS, where="kraken_agent_source", hint=_ANOTHER)
    found = sent_files({**arguments, "server_url": arguments["server"], "download": "controller"})
    files = {str(one["name"]): _content(one, arguments) for one in found["binaries"]}
    if version_in(files["kkagent"]):
        raise BundleError(_OURS, where="kraken_agent_bundle", hint=_ANOTHER)
    binaries = [Binary(name, hashlib.sha256(content).hexdigest()) for name, content in files.items()]
    release = Release(found["bundle_version"], binaries).name
    directory = cache_directory() / "windows" / release
    for name, content in {**files, "nssm.exe": _nssm(arguments)}.items():
        _write(directory / name, content)
    return {"release": release, "directory": str(directory)}


def _content(binary: Mapping[str, Any], arguments: Mapping[str, Any]) -> bytes:
    if "content" in binary:
        return zlib.decompress(base64.b64decode(binary["content"]))
    ca_bundle = str(arguments["ca_bundle"])
    content = fetched(str(binary["url"]), ca_bundle)
    _check(content, str(binary["sha256"]), str(binary["url"]))
    check_served(content, str(binary["url"]), allowed_signers(arguments), ca_bundle)
    return content


def _nssm(arguments: Mapping[str, Any]) -> bytes:
    where = str(arguments["nssm"]) or f"{ServerAddress.parse(arguments['server']).install}/{NSSM}"
    if "://" in where:
        archive = fetched(where, str(arguments["ca_bundle"]))
    else:
        try:
            archive = Path(where).expanduser().read_bytes()
        except OSError as error:
            hint = f"kraken_agent_nssm is the path of {NSSM} on the controller, or its URL"
            raise BundleError(f"It cannot be read: {error.strerror}", where=where, hint=hint) from error
    _check(archive, str(arguments["nssm_sha256"]), where)
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return opened.read(next(name for name in opened.namelist() if name.endswith(_NSSM_PROGRAM)))
    except (zipfile.BadZipFile, StopIteration) as error:
        raise BundleError(f"There is no {_NSSM_PROGRAM} in it", where=where, hint=f"It should be {NSSM}") from error


def _check(content: bytes, wanted: str, where: str) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != wanted.lower():
        hint = "Nothing was changed on the host. Get the file again, from where it was released"
        raise BundleError(f"The file is damaged: its sha256 is {sha256}, expected {wanted}", where=where, hint=hint)


def _write(path: Path, content: bytes) -> None:
    """Write a file while another worker of the play may write the same, or copy it to its host."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    whole_file.write(path, content, whole_file.OWNER_ONLY)
