"""SELinux labels: asked of the host's own restorecon, where the kernel has SELinux. Both are stood in for here."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import binaries, files, release, selinux
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError, apply_all
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.files import Attributes

# Remembers its arguments. With -n it tells of the paths in `wrong`, otherwise there are none afterwards; a path that is
# not there is an error, as it is for the real one.
RESTORECON = """#!/bin/sh
echo "$*" >> {here}/calls
for last; do :; done
[ -e "$last" ] || [ -L "$last" ] || {{ echo "restorecon: lstat($last) failed" >&2; exit 255; }}
if [ "$1" = -n ]; then sed 's/^/Would relabel /' {here}/wrong 2>/dev/null; else rm -f {here}/wrong; fi
exit 0
"""


class Kernel:
    """A host's SELinux."""

    def __init__(self, here: Path) -> None:
        self.here = here
        (here / "enforce").write_text("1")

    @property
    def calls(self) -> list[str]:
        calls = self.here / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    def mislabel(self, path: Path) -> None:
        (self.here / "wrong").write_text(f"{path}\n")


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    here = tmp_path / "selinux"
    here.mkdir()
    program = here / "restorecon"
    program.write_text(RESTORECON.format(here=here))
    program.chmod(0o755)
    monkeypatch.setattr(selinux, "MOUNT", str(here))
    monkeypatch.setenv("PATH", str(here), prepend=":")
    return Kernel(here)


def test_where_the_kernel_has_none_nothing_is_asked(kernel: Kernel, tmp_path: Path) -> None:
    (kernel.here / "enforce").unlink()
    files.write_file(str(tmp_path / "a"), b"x", Attributes(0o644))
    kernel.mislabel(tmp_path / "a")
    assert list(selinux.converge([str(tmp_path / "a")], [])) == []
    assert kernel.calls == []
    assert selinux.advice() == ""


def test_what_is_written_gets_its_label_when_it_is_in_its_place(kernel: Kernel, tmp_path: Path) -> None:
    apply_all(files.directory(str(tmp_path / "kraken"), Attributes(0o755)))
    apply_all(files.text_file(str(tmp_path / "kraken" / "kraken.env"), "x\n", Attributes(0o640)))
    assert kernel.calls == [f"-R {tmp_path}/kraken", f"-R {tmp_path}/kraken/kraken.env"]


def test_a_release_and_the_link_to_it_get_theirs(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "versions").mkdir()
    binary = release.Binary("kkagent", hashlib.sha256(b"x").hexdigest(), b"x")
    wanted = release.Release("1", [binary])
    apply_all(list(binaries.converge(str(tmp_path), wanted, Attributes(0o755), sys.executable)))
    assert kernel.calls[-2:] == [f"-R {tmp_path}/versions/{wanted.name}", f"-R {tmp_path}/current"]


def test_a_wrong_label_is_a_change_and_the_data_of_jobs_is_left_alone(kernel: Kernel, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    kernel.mislabel(tmp_path)
    plan = list(selinux.converge([str(tmp_path), str(tmp_path / "absent")], [str(data)]))
    assert [change.what for change in plan] == ["restore SELinux labels"]
    assert plan[0].diff["before"] == f"Would relabel {tmp_path}\n"
    assert kernel.calls == [f"-n -v -R -e {data} {tmp_path}"]
    apply_all(plan)
    assert kernel.calls[-1] == f"-R -e {data} {tmp_path}"
    assert list(selinux.converge([str(tmp_path)], [str(data)])) == []


def test_a_label_that_cannot_be_restored_fails_with_restorecons_words(kernel: Kernel, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"restorecon .* failed \(255\): restorecon: lstat"):
        selinux.restore(str(tmp_path / "gone"))


def test_what_does_not_start_where_selinux_enforces_is_told_where_to_look(kernel: Kernel) -> None:
    assert "ausearch -m avc" in selinux.advice()
    (kernel.here / "enforce").write_text("0")
    assert selinux.advice() == ""
