"""An image that is pinned by a digest: the one of the host with this ID, or the one of its registry; no other one."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import container, images
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError, apply_all
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import OURS

from tests.unique_names import unique_name

DIGEST = "sha256:" + "0a" * 32
# Nobody listens there, so whatever is not on this machine is not to be had.
REGISTRY = "127.0.0.1:1"


@pytest.mark.parametrize("image", ["kkagent:1@sha256:abc", "kkagent@sha256:" + "G" * 64, "@" + DIGEST, "kkagent:1@"])
def test_what_is_no_digest_is_refused(image: str) -> None:
    with pytest.raises(HostError, match="is no digest"):
        images.pinned(image)


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        (f"kkagent:1@{DIGEST}", f"kkagent@{DIGEST}"),
        (f"registry.example:5000/kk/agent@{DIGEST}", f"registry.example:5000/kk/agent@{DIGEST}"),
        (f"registry.example:5000/kk/agent:1.7@{DIGEST}", f"registry.example:5000/kk/agent@{DIGEST}"),
        ("registry.example:5000/kk/agent:1.7", "registry.example:5000/kk/agent:1.7"),
    ],
)
def test_a_registry_is_asked_for_the_digest(image: str, asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_docker", lambda *_arguments: "sha256:other\n")
    assert images.pinned(image) == image
    assert images.reference(image) == asked


def made(name: str, content: bytes) -> str:
    """An image of one file; its ID."""
    system = io.BytesIO()
    with tarfile.open(fileobj=system, mode="w") as archive:
        entry = tarfile.TarInfo("agent")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    command = ["docker", "import", "--change", 'CMD ["/agent"]', "-", name]
    return subprocess.run(command, input=system.getvalue(), capture_output=True, check=True).stdout.decode().strip()


@pytest.fixture
def name() -> Iterator[str]:
    """Of a container and an image, which are gone after the test."""
    name = unique_name()
    yield name
    subprocess.run(["docker", "rm", "--force", name], check=False, capture_output=True)
    listed = subprocess.run(["docker", "image", "ls", "-q", f"{REGISTRY}/{name}"], check=True, capture_output=True)
    for image in listed.stdout.decode().split():
        subprocess.run(["docker", "image", "rm", "--force", image], check=False, capture_output=True)


@pytest.mark.docker
def test_the_image_with_the_id_is_used_although_its_name_went_to_another_one(name: str) -> None:
    tag = f"{REGISTRY}/{name}:1"
    mine, others = made(tag, b"mine"), made(f"{REGISTRY}/{name}:2", b"another's")
    subprocess.run(["docker", "tag", mine, f"{REGISTRY}/{name}:kept"], check=True)
    subprocess.run(["docker", "tag", others, tag], check=True)
    wanted = container.Container(name, images.pinned(f"{tag}@{mine}"), {})
    assert images.agent_of_image(wanted.image, pull=True) == OURS
    [creates, _starts] = container.present(wanted)
    apply_all([creates])
    found = container.found(name)
    assert found
    assert found["Image"] == mine
    assert container.image_of(name) == f"{tag}@{mine}"
    assert [change.what for change in container.present(wanted)] == [f"start container {name}"]


@pytest.mark.docker
def test_an_image_with_another_id_is_refused(name: str) -> None:
    tag = f"{REGISTRY}/{name}:1"
    made(tag, b"another's")
    with pytest.raises(HostError, match="no image on this host has that ID, and no registry gave one"):
        images.agent_of_image(f"{tag}@{DIGEST}", pull=True)
