"""A server of LXD images, as the remotes that people configure are: simplestreams, version 1.0.

It has one image, busybox under the alias ALIAS. The format is described in LXD's documentation, "Remote image servers".
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.background import serving
from tests.e2e.container_images import INIT, METADATA, add_file, add_shell

ALIAS = "busybox/1"
_PRODUCT = "busybox:1:default"
_IMAGE = "images/lxd.tar.gz"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass
class ImagesServer:
    """Where it is, what its image is called by its content, and what it was asked for."""

    url: str
    fingerprint: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def images_server() -> Iterator[ImagesServer]:
    """Serve until the block is left."""
    image = _image()
    files = _files(image)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            told.asked.append(path)
            content = files.get(path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *args: object) -> None:
            """What was asked is kept instead."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        told = ImagesServer(f"http://127.0.0.1:{server.server_port}", hashlib.sha256(image).hexdigest())
        yield told


def _image() -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        add_file(tar, "metadata.yaml", METADATA.format(machine=os.uname().machine).encode())
        add_shell(tar, "rootfs/")
        add_file(tar, "rootfs/sbin/init", INIT.encode(), 0o755)
        for name in ("dev", "proc", "sys"):
            directory = tarfile.TarInfo(f"rootfs/{name}")
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(directory)
    return packed.getvalue()


def _files(image: bytes) -> dict[str, bytes]:
    item = {
        "ftype": "lxd_combined.tar.gz",
        "path": _IMAGE,
        "sha256": hashlib.sha256(image).hexdigest(),
        "size": len(image),
    }
    product = {
        "aliases": ALIAS,
        "arch": _ARCHITECTURES[os.uname().machine],
        "os": "busybox",
        "release": "1",
        "versions": {"20260101_00:00": {"items": {"lxd_combined.tar.gz": item}}},
    }
    listed = {"datatype": "image-downloads", "format": "products:1.0"}
    index = {"images": {**listed, "path": "streams/v1/images.json", "products": [_PRODUCT]}}
    return {
        "streams/v1/index.json": json.dumps({"format": "index:1.0", "index": index}).encode(),
        "streams/v1/images.json": json.dumps({**listed, "products": {_PRODUCT: product}}).encode(),
        _IMAGE: image,
    }
