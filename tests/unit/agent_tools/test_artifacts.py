"""The tool artifacts against a real S3 server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kraken_agent.tools import artifacts
from kraken_agent.tools.paths import inside, join_object

from tests.s3_server import S3Server


@pytest.fixture
def step(s3: S3Server, bucket: str, store_kind: str) -> dict[str, Any]:
    return {"tool": "artifacts", "flow_id": 4, "run_id": 7, "destination": ".", **s3.step_fields(bucket)}


@pytest.fixture
def tree(job_dir: Path) -> Path:
    for name in ("a.txt", "build/x.log", "build/deep/y.log", "build/z.bin", "build/.hidden"):
        path = job_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    return job_dir


def upload(step: dict[str, Any], **fields: Any) -> tuple[tuple[int, str], list[tuple[str, int]]]:
    reported: list[Any] = []
    outcome = artifacts.run_artifacts({**step, **fields}, report_artifact=reported.append)
    return outcome, [(entry["path"], entry["size"]) for entry in reported]


def no_report(entry: dict[str, Any]) -> None:
    """Downloads report nothing."""
    raise AssertionError(entry)


def stored(s3: S3Server, step: dict[str, Any]) -> list[str]:
    return [entry.name for entry in s3.client().list_objects(step["minio_bucket"], "")]


def test_a_file_is_stored_under_flow_and_run_and_reported_with_its_size(
    s3: S3Server, step: dict[str, Any], tree: Path
) -> None:
    assert upload(step, source="a.txt", public=True) == ((0, ""), [("a.txt", 16)])
    assert stored(s3, step) == ["4/7/a.txt"]


def test_a_directory_stands_for_everything_below_it_that_is_not_hidden(
    s3: S3Server, step: dict[str, Any], tree: Path
) -> None:
    _, reported = upload(step, source="build")
    assert [path for path, _ in reported] == ["build/deep/y.log", "build/x.log", "build/z.bin"]


def test_patterns_lists_cwd_and_destination_work_together(s3: S3Server, step: dict[str, Any], tree: Path) -> None:
    _, reported = upload(step, source=["**/*.log", ".hidden"], cwd="build", destination="/logs/")
    assert [path for path, _ in reported] == ["logs/deep/y.log", "logs/x.log", "logs/.hidden"]
    assert stored(s3, step) == ["4/7/logs/.hidden", "4/7/logs/deep/y.log", "4/7/logs/x.log"]


def test_a_missing_file_is_an_error_but_a_pattern_without_matches_is_not(step: dict[str, Any], tree: Path) -> None:
    (code, message), _ = upload(step, source="nothing.txt")
    assert code == 1
    assert "nothing.txt not found for upload" in message
    assert upload(step, source="*.nothing") == ((0, ""), [])


def test_a_file_outside_the_job_is_stored_under_its_bare_name(
    s3: S3Server, step: dict[str, Any], tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside.txt").write_text("x")
    upload(step, source=str(tmp_path / "outside.txt"))
    assert stored(s3, step) == ["4/7/outside.txt"]


def test_a_destination_that_leads_out_of_the_run_is_refused(s3: S3Server, step: dict[str, Any], tree: Path) -> None:
    (code, message), _ = upload(step, source="a.txt", destination="../../5/1")
    assert code == 1
    assert "leads out" in message
    assert stored(s3, step) == []


def test_what_one_run_stores_another_run_of_the_flow_gets(step: dict[str, Any], tree: Path, tmp_path: Path) -> None:
    upload(step, source=["a.txt", "build"])
    later = {**step, "run_id": 9, "action": "download", "cwd": str(tmp_path / "new"), "destination": "in"}
    assert artifacts.run_artifacts({**later, "source": ["a.txt", "build/deep"]}, report_artifact=no_report) == (0, "")
    got = sorted(str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*") if path.is_file())
    assert got == ["in/a.txt", "in/build/deep/y.log"]


def test_a_download_takes_patterns(step: dict[str, Any], tree: Path, tmp_path: Path) -> None:
    upload(step, source="build")
    later = {**step, "run_id": 9, "action": "download", "cwd": str(tmp_path / "new"), "source": "build/*.log"}
    assert artifacts.run_artifacts(later, report_artifact=no_report) == (0, "")
    assert sorted(path.name for path in (tmp_path / "new").rglob("*.*")) == ["x.log", "y.log"]


def test_the_latest_run_that_has_every_source_is_taken(step: dict[str, Any], tree: Path, tmp_path: Path) -> None:
    (tree / "a.txt").write_text("old")
    upload({**step, "run_id": 7}, source=["a.txt", "build"])
    (tree / "a.txt").write_text("new")
    upload({**step, "run_id": 10}, source="a.txt")
    upload({**step, "run_id": 9}, source="build/z.bin")
    for source, expected in (("a.txt", "new"), (["a.txt", "build/x.log"], "old")):
        target = tmp_path / str(expected)
        later = {**step, "run_id": 11, "action": "download", "cwd": str(target), "source": source}
        assert artifacts.run_artifacts(later, report_artifact=no_report) == (0, "")
        assert (target / "a.txt").read_text() == expected


def test_downloading_what_is_not_there_names_it(step: dict[str, Any], tree: Path) -> None:
    upload(step, source="a.txt")
    later = {**step, "run_id": 9, "action": "download", "source": "b.txt"}
    code, message = artifacts.run_artifacts(later, report_artifact=no_report)
    assert code == 1
    assert "b.txt" in message


def test_a_first_run_has_nothing_to_download(step: dict[str, Any], tree: Path) -> None:
    wanted = {**step, "action": "download", "source": "a.txt"}
    code, message = artifacts.run_artifacts(wanted, report_artifact=no_report)
    assert code == 2
    assert "cannot find files to download" in message


def test_a_name_in_the_store_cannot_write_outside_the_destination(
    s3: S3Server, step: dict[str, Any], tree: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="leads out"):
        inside(tmp_path, "../x")
    assert inside(tmp_path, "a/../b") == tmp_path / "b"


def test_object_names_are_clean() -> None:
    assert join_object("1/2", "./a//b", "c") == "1/2/a/b/c"
    with pytest.raises(ValueError, match="leads out"):
        join_object("1/2", "../3")


def test_an_unknown_action_is_refused(step: dict[str, Any]) -> None:
    assert artifacts.run_artifacts({**step, "action": "copy", "source": "a"}, report_artifact=no_report)[0] == 1


def test_no_store_is_an_error_that_says_so(step: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    code, message = artifacts.run_artifacts({**step, "minio_addr": "", "source": "a"}, report_artifact=no_report)
    assert code == 1
    assert "KRAKEN_MINIO_ADDR" in message
