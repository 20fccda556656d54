"""Both clients of the object store against a real S3 server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kraken_agent.tools import s3 as s3_module
from kraken_agent.tools.object_store import MinioStore, open_store
from kraken_agent.tools.s3 import MissingObjectError, S3Client, StoreError
from kraken_agent.tools.s3_signature import Credentials, encoded_query

from tests.s3_server import S3Server


def test_a_file_comes_back_as_it_was(s3: S3Server, bucket: str, store_kind: str, tmp_path: Path) -> None:
    store = open_store(s3.step_fields(bucket))
    (tmp_path / "in").write_bytes(b"\x00\xff some bytes")

    assert store.put_file(bucket, "1/2/a name+with=ö&?.txt", tmp_path / "in") == 13
    assert store.get_file(bucket, "1/2/a name+with=ö&?.txt", tmp_path / "out") == 13
    assert (tmp_path / "out").read_bytes() == b"\x00\xff some bytes"


def test_an_empty_file_is_a_file(s3: S3Server, bucket: str, store_kind: str, tmp_path: Path) -> None:
    store = open_store(s3.step_fields(bucket))
    (tmp_path / "empty").write_bytes(b"")
    store.put_file(bucket, "empty", tmp_path / "empty")
    assert store.get_file(bucket, "empty", tmp_path / "out") == 0


def test_a_file_of_many_parts_comes_back_as_it_was(s3: S3Server, bucket: str, store_kind: str, tmp_path: Path) -> None:
    data = os.urandom(1024) * (40 * 1024)
    (tmp_path / "in").write_bytes(data)
    store = open_store(s3.step_fields(bucket))

    assert store.put_file(bucket, "large", tmp_path / "in") == len(data)
    store.get_file(bucket, "large", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data


def test_a_missing_object_is_its_own_error_and_leaves_no_file(
    s3: S3Server, bucket: str, store_kind: str, tmp_path: Path
) -> None:
    store = open_store(s3.step_fields(bucket))
    with pytest.raises(MissingObjectError):
        store.get_file(bucket, "nothing", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_listing_longer_than_a_page_is_read_whole(
    s3: S3Server, bucket: str, store_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(s3.step_fields(bucket))
    (tmp_path / "x").write_text("x")
    names = sorted(f"dir/{number:04}" for number in range(1005))
    own = s3.client()
    for name in [*names, "elsewhere"]:
        own.put_file(bucket, name, tmp_path / "x")
    assert [entry.name for entry in store.list_objects(bucket, "dir/")] == names


def test_wrong_keys_are_refused_without_trying_again(
    s3: S3Server, bucket: str, store_kind: str, tmp_path: Path
) -> None:
    store = open_store({**s3.step_fields(bucket), "minio_secret_key": "wrong-secret-key"})
    (tmp_path / "x").write_text("x")
    with pytest.raises(StoreError) as caught:
        store.put_file(bucket, "x", tmp_path / "x")
    assert caught.value.code in ("SignatureDoesNotMatch", "AccessDenied")
    assert "wrong-secret-key" not in str(caught.value)


def test_buckets_are_found_or_not(s3: S3Server, bucket: str, store_kind: str) -> None:
    store = open_store(s3.step_fields(bucket))
    assert store.bucket_exists(bucket)
    assert not store.bucket_exists("no-such-bucket")


def test_the_variable_wins_over_the_address_of_the_server(
    s3: S3Server, bucket: str, store_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRAKEN_MINIO_ADDR", s3.address)
    assert open_store({**s3.step_fields(bucket), "minio_addr": "127.0.0.1:1"}).bucket_exists(bucket)


def test_a_store_that_is_away_is_tried_again_and_then_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[Any] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1 cannot be reached"):
        S3Client("127.0.0.1:1", Credentials("a", "b")).bucket_exists("x")
    assert pauses == [0.2, 0.4, 0.8]


def test_the_package_is_used_when_the_host_has_it(s3: S3Server, bucket: str) -> None:
    assert isinstance(open_store(s3.step_fields(bucket)), MinioStore)


def test_opening_tools_imports_neither_minio_nor_urllib3() -> None:
    code = (
        "import sys, kraken_agent.tools.artifacts, kraken_agent.tools.cache, kraken_agent.tools.git;"
        "print([name for name in ('minio', 'urllib3', 'docker', 'pylxd') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    assert done.stdout.strip() == "[]"


def test_credentials_do_not_show_the_secret() -> None:
    assert "hidden" not in repr(Credentials("id", "hidden"))


def test_queries_are_encoded_as_they_are_signed() -> None:
    assert encoded_query({"b": "x y", "a": "/+"}) == "a=%2F%2B&b=x%20y"


def _environment() -> dict[str, str]:
    agent = Path(s3_module.__file__).parents[2]
    return {**os.environ, "PYTHONPATH": str(agent)}
