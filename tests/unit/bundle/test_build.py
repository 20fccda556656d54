"""Bundles: the same bytes each time, nothing superfluous, and every damage noticed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kraken_fleet import bundle
from kraken_fleet.errors import BundleError


@pytest.fixture
def agent_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small agent package which a test may change."""
    package = tmp_path / "source" / "kraken_agent"
    (package / "tools").mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "7.1"\n')
    (package / "cli.py").write_text("def main():\n    print('agent')\n    return 7\n")
    (package / "tools" / "__init__.py").write_text("")
    (package / "tools" / "kktool.py").write_text("def main():\n    print('tool')\n    return 0\n")
    monkeypatch.delitem(sys.modules, "kraken_agent", raising=False)
    monkeypatch.syspath_prepend(package.parent)
    return package


@pytest.fixture
def built(agent_source: Path, tmp_path: Path) -> dict[str, bundle.Bundle]:
    return {made.name: made for made in bundle.build(tmp_path / "out")}


def _files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_two_builds_of_one_tree_have_the_same_bytes(agent_source: Path, tmp_path: Path) -> None:
    first = bundle.build(tmp_path / "first")
    os.utime(agent_source / "cli.py", (1_000_000_000, 1_000_000_000))
    (agent_source / "cli.py").chmod(0o600)
    (agent_source / "__pycache__").mkdir()
    (agent_source / "__pycache__" / "cli.cpython-311.pyc").write_bytes(b"byte code")
    (agent_source / ".cli.py.swp").write_bytes(b"an editor's")
    second = bundle.build(tmp_path / "second")
    assert [made.sha256 for made in first] == [made.sha256 for made in second]
    assert [made.path.read_bytes() for made in first] == [made.path.read_bytes() for made in second]


def test_a_changed_source_gives_another_release(agent_source: Path, tmp_path: Path) -> None:
    before = bundle.build(tmp_path / "out")[0]
    (agent_source / "cli.py").write_text("def main():\n    return 1\n")
    after = bundle.build(tmp_path / "out")[0]
    assert before.version == after.version == "7.1"
    assert before.release != after.release


def test_a_bundle_says_what_it_is(built: dict[str, bundle.Bundle]) -> None:
    made = built["kkagent"]
    content = made.path.read_bytes()
    assert (made.version, made.size, made.sha256) == ("7.1", len(content), hashlib.sha256(content).hexdigest())
    assert made.release == f"7.1-{made.sha256[:8]}"
    assert bundle.inspect(made.path) == made


def test_a_bundle_runs_by_itself_and_hands_its_exit_code_on(built: dict[str, bundle.Bundle]) -> None:
    finished = subprocess.run([built["kkagent"].path], capture_output=True, text=True, check=False, timeout=60)
    assert (finished.returncode, finished.stdout) == (7, "agent\n")


def test_kktool_has_only_the_tools(built: dict[str, bundle.Bundle]) -> None:
    with zipfile.ZipFile(built["kktool"].path) as archive:
        names = archive.namelist()
    assert "kraken_agent/tools/kktool.py" in names
    assert "kraken_agent/cli.py" not in names
    assert names == sorted(names)


def test_the_manifest_names_every_file_and_its_checksum(built: dict[str, bundle.Bundle]) -> None:
    with zipfile.ZipFile(built["kkagent"].path) as archive:
        files = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
        manifest = json.loads(archive.read("MANIFEST.json"))
    del files["MANIFEST.json"]
    assert manifest == {"name": "kkagent", "version": "7.1", "files": files}


def test_a_right_file_is_not_written_again(agent_source: Path, tmp_path: Path) -> None:
    path = bundle.build(tmp_path / "out")[0].path
    before = path.stat()
    bundle.build(tmp_path / "out")
    assert path.stat().st_ino == before.st_ino


def test_no_changed_byte_reaches_the_python_that_runs_it(built: dict[str, bundle.Bundle], tmp_path: Path) -> None:
    """Each byte in turn: the damage is noticed, or it is in a time or mode that nobody reads."""
    good = built["kkagent"].path.read_bytes()
    path = tmp_path / "damaged"
    unnoticed = []
    for position in range(len(good)):
        content = bytearray(good)
        content[position] ^= 0x55
        path.write_bytes(content)
        try:
            bundle.inspect(path)
        except BundleError:
            continue
        unnoticed.append(position)
        assert _files(path) == _files(built["kkagent"].path)
    assert len(unnoticed) < len(good) / 5


def test_a_file_cut_off_on_its_way_is_noticed(built: dict[str, bundle.Bundle]) -> None:
    path = built["kkagent"].path
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(BundleError, match="damaged or not a bundle"):
        bundle.inspect(path)


def test_a_file_that_was_put_in_afterwards_is_named(built: dict[str, bundle.Bundle]) -> None:
    path = built["kkagent"].path
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("kraken_agent/extra.py", "print('hello')")
    with pytest.raises(BundleError, match=r"kraken_agent/extra\.py"):
        bundle.inspect(path)


def test_somebody_elses_zip_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kkagent"
    with path.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("__main__.py", "print(1)")
    with pytest.raises(BundleError, match=r"no MANIFEST\.json.*bundle build"):
        bundle.inspect(path)


def test_a_missing_file_is_named_with_the_way_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nothing-here.*No such file.*bundle build"):
        bundle.inspect(tmp_path / "nothing-here")


def test_a_directory_that_cannot_be_made_is_one_clear_error(agent_source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match=r"file/kkagent: The bundle cannot be written"):
        bundle.build(tmp_path / "file")


def test_an_agent_without_a_version_is_refused(agent_source: Path, tmp_path: Path) -> None:
    (agent_source / "__init__.py").write_text('"""Nothing."""\n')
    with pytest.raises(BundleError, match="no __version__"):
        bundle.build(tmp_path / "out")


def test_building_does_not_import_the_agent(tmp_path: Path) -> None:
    code = (
        "import sys; from kraken_fleet import bundle; bundle.build(sys.argv[1]); print('kraken_agent' in sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert finished.stdout == "False\n"
