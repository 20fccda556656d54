"""Where a step's tool is found."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from kraken_agent.tools.locate import ToolCode, ToolNotFoundError, locate

from tests.s3_server import S3Server

SOURCE = "import helper\ndef run(step):\n    return 0, helper.NAME\n"


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Any]:
    tools, data, job = tmp_path / "tools", tmp_path / "data", tmp_path / "job"
    for directory in (tools, data, job):
        directory.mkdir()
    return {"tools_dirs": [tools], "data_dir": data, "job_dir": job}


def packed(path: Path, description: str = '{"entry": "greeter"}') -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("greeter.py", SOURCE)
        archive.writestr("vendor/helper.py", "NAME = 'vendored'\n")
        if description:
            archive.writestr("tool.json", description)
    return path


def works(code: ToolCode) -> bool:
    """Whether a Python with the tool's path can import the tool and its dependency."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {code.module} as tool; print(tool.run({{}}))"],
        env={**os.environ, "PYTHONPATH": code.python_path()},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout == "(0, 'vendored')\n"


def test_a_built_in_tool_needs_no_path(places: dict[str, Any]) -> None:
    code = locate({"tool": "git@1", "tool_location": "", "tool_entry": ""}, **places)
    assert code.module == "kraken_agent.tools.git"
    assert code.is_builtin


@pytest.mark.parametrize("layout", ["kraken_hello.py", "kraken_hello/__init__.py"])
def test_a_tools_directory_has_modules_and_packages(places: dict[str, Any], layout: str) -> None:
    path = places["tools_dirs"][0] / layout
    path.parent.mkdir(exist_ok=True)
    path.write_text(SOURCE)
    (places["tools_dirs"][0] / "vendor").mkdir()
    (places["tools_dirs"][0] / "vendor/helper.py").write_text("NAME = 'vendored'\n")
    assert works(locate({"tool": "hello"}, **places))


def test_a_tools_directory_has_zip_files(places: dict[str, Any]) -> None:
    packed(places["tools_dirs"][0] / "hello.zip")
    assert works(locate({"tool": "hello"}, **places))


def test_a_built_in_tool_cannot_be_replaced_by_a_file(places: dict[str, Any]) -> None:
    (places["tools_dirs"][0] / "kraken_git.py").write_text(SOURCE)
    assert locate({"tool": "git"}, **places).is_builtin


def test_a_job_may_bring_its_own_tool(places: dict[str, Any]) -> None:
    (places["job_dir"] / "repo/vendor").mkdir(parents=True)
    (places["job_dir"] / "repo/greeter.py").write_text(SOURCE)
    (places["job_dir"] / "repo/vendor/helper.py").write_text("NAME = 'vendored'\n")
    assert works(locate({"tool": "local_tool", "tool_location": "repo", "tool_entry": "greeter"}, **places))


def test_a_tool_comes_from_the_object_store(places: dict[str, Any], s3: S3Server, bucket: str, store_kind: str) -> None:
    s3.client().put_file(bucket, "7/tool.zip", packed(places["job_dir"] / "x.zip"))
    step = {"tool": "hello", "tool_location": f"minio:{bucket}/7/tool.zip", "tool_entry": "greeter"}
    assert works(locate({**step, **s3.step_fields(bucket)}, **places))


def test_new_content_under_the_same_name_is_used(places: dict[str, Any], s3: S3Server, bucket: str) -> None:
    step = {"tool": "x", "tool_location": f"minio:{bucket}/tool.zip", "tool_entry": "m", **s3.step_fields(bucket)}
    seen = []
    for text in ("A = 1\n", "A = 2\n"):
        archive = places["job_dir"] / "x.zip"
        with zipfile.ZipFile(archive, "w") as content:
            content.writestr("m.py", text)
        s3.client().put_file(bucket, "tool.zip", archive)
        seen.append((locate(step, **places).paths[0] / "m.py").read_text())
    assert seen == ["A = 1\n", "A = 2\n"]


def test_the_same_content_is_unpacked_once(places: dict[str, Any]) -> None:
    archive = packed(places["tools_dirs"][0] / "hello.zip")
    first = locate({"tool": "hello"}, **places).paths[0]
    stamp = first.stat().st_ino
    archive.touch()
    assert locate({"tool": "hello"}, **places).paths[0].stat().st_ino == stamp


def test_a_zip_cannot_write_outside_its_directory(places: dict[str, Any], tmp_path: Path) -> None:
    with zipfile.ZipFile(places["tools_dirs"][0] / "bad.zip", "w") as archive:
        archive.writestr("../../../evil.py", "x")
        archive.writestr("kraken_bad.py", "x")
    locate({"tool": "bad"}, **places)
    assert not list(tmp_path.glob("evil.py"))
    assert not list(tmp_path.parent.glob("evil.py"))


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ({"tool": "nothing"}, "not built in"),
        ({"tool": "x", "tool_location": "nowhere"}, "neither a directory nor a zip file"),
        ({"tool": "x", "tool_location": "minio:b/t.zip"}, "KRAKEN_MINIO_ADDR"),
    ],
)
def test_a_tool_that_cannot_be_found_says_where_it_was_looked_for(
    places: dict[str, Any], step: dict[str, Any], text: str
) -> None:
    with pytest.raises(ToolNotFoundError, match=text):
        locate(step, **places)


def test_a_damaged_zip_is_named(places: dict[str, Any]) -> None:
    (places["tools_dirs"][0] / "hello.zip").write_text("no zip")
    with pytest.raises(ToolNotFoundError, match=r"hello\.zip is not a zip file"):
        locate({"tool": "hello"}, **places)
