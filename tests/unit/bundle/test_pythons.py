"""The real bundles under every Python of this machine: they run from 3.8 on, with nothing installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kraken_fleet import bundle
from kraken_fleet.bundle import Bundle

_PROBE = "import sys; sys.stdout.write('%d.%d' % sys.version_info[:2])"


def _pythons() -> dict[str, str]:
    """One interpreter of each version: those on PATH, and those of pyenv."""
    names = ["python2.7", *(f"python3.{minor}" for minor in range(6, 20))]
    candidates = [found for name in names if (found := shutil.which(name))]
    candidates += [str(path) for path in Path.home().glob(".pyenv/versions/*/bin/python")]
    versions: dict[str, str] = {}
    for path in [*candidates, sys.executable]:
        shown = subprocess.run([path, "-c", _PROBE], capture_output=True, text=True, check=False, timeout=60)
        if shown.returncode == 0:
            versions[shown.stdout] = path
    return versions


_PYTHONS = _pythons()
_NEW = {version: path for version, path in _PYTHONS.items() if tuple(map(int, version.split("."))) >= (3, 8)}
_OLD = {version: path for version, path in _PYTHONS.items() if version not in _NEW}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    return {made.name: made for made in bundle.build(tmp_path_factory.mktemp("bundles"))}


def _run(python: str, made: Bundle, argument: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [python, str(made.path), argument]
    return subprocess.run(command, env=bare, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("version", _NEW)
@pytest.mark.parametrize("name", ["kkagent", "kktool"])
def test_a_bundle_is_whole_and_says_its_version(built: dict[str, Bundle], name: str, version: str) -> None:
    shown = _run(_NEW[version], built[name], "--version")
    assert shown.returncode == 0, shown.stderr
    assert built[name].version in shown.stdout
    checked = _run(_NEW[version], built[name], "check-integrity")
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("version", _OLD)
def test_an_older_python_gets_one_clear_line(built: dict[str, Bundle], version: str) -> None:
    shown = _run(_OLD[version], built["kkagent"], "run")
    assert shown.returncode == 1
    assert shown.stderr.startswith("kkagent needs Python 3.8 or newer, this is " + version)
    assert len(shown.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["kkagent", "kktool"])
def test_a_damaged_bundle_notices_it_itself(built: dict[str, Bundle], name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(built[name].path) as archive:
        entry = archive.getinfo("kraken_agent/tools/s3.py")
    content = bytearray(built[name].path.read_bytes())
    content[entry.header_offset + 200] ^= 0x55
    damaged = tmp_path / name
    damaged.write_bytes(content)
    shown = subprocess.run([sys.executable, damaged, "check-integrity"], capture_output=True, check=False, timeout=60)
    assert shown.returncode != 0
