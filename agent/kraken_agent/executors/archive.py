"""Packs what is copied into containers: tar archives that are unpacked at the root, everything owned by root."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Mapping, Optional, Tuple


def pack_files(directory: str, files: Mapping[str, Tuple[bytes, int]]) -> bytes:
    """An archive of files, name -> (content, mode), in one directory."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, (content, mode) in files.items():
            member = tarfile.TarInfo(f"{directory.strip('/')}/{name}")
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def pack_tree(directory: str, source: Path) -> bytes:
    """An archive of a directory with everything below it; compiled Python and editors' backups stay behind."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.add(source, directory.strip("/"), filter=_for_everybody)
    return data.getvalue()


def _for_everybody(member: tarfile.TarInfo) -> Optional[tarfile.TarInfo]:
    if member.name.endswith((".pyc", "~", "/__pycache__")):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    # The step's user is another one than the agent's, and must be able to read it.
    member.mode |= 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member
