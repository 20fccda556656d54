"""Makes all files of a release into a directory, twice, and compares them byte by byte: `make release`.

Nothing is published and this checkout is not changed. The version, the changelog and the tag are made in
clones of it; what is left to do by hand is printed at the end.
"""

from __future__ import annotations

import argparse
import filecmp
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Each place that says the version, as a pattern whose first group is the version.
PLACES = {
    "pyproject.toml": r'^version = "([^"]+)"$',
    "kraken_fleet/__init__.py": r'^__version__ = "([^"]+)"$',
    "agent/kraken_agent/__init__.py": r'^__version__ = "([^"]+)"$',
    "plugins/plugin_utils/__init__.py": r'^VERSION = "([^"]+)"$',
    "galaxy.yml": r"^version: (\S+)$",
    "meta/ee-requirements.txt": r"^kraken-fleet\[[^]]*\]==(\S+)$",
}
# No pre-releases: Python packages and collections write them in ways that the other refuses.
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_SUMS = "SHA256SUMS"
# The namespace of signatures, which ssh-keygen keeps apart: one of a bundle is none of a release.
_NAMESPACE = "kraken-fleet-release"


class ReleaseError(Exception):
    """The release cannot be made, in one sentence."""


@dataclass(frozen=True, slots=True)
class Release:
    """What is released.

    Args:
        version: as in `0.2.0`.
        date: of the changelog's new entry.
        epoch: the time of all files, in seconds: that of the commit that the release is made from.
        requirements: what the package needs at run time, pinned, with hashes.
    """

    version: str
    date: str
    epoch: int
    requirements: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a build gives the same bytes again."""
        moment = f"@{self.epoch} +0000"
        author = {"NAME": "kraken-fleet", "EMAIL": "release@localhost", "DATE": moment}
        git = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in author.items()}
        # Users may sign all their commits, and no two signatures are the same.
        config = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        return {**os.environ, **git, **config, "SOURCE_DATE_EPOCH": str(self.epoch), "PYTHONDONTWRITEBYTECODE": "1"}


def version_now(root: Path) -> str:
    """Return the version that all places say.

    Raises:
        ReleaseError: they do not agree, or one does not say any.
    """
    found = {}
    for place, pattern in PLACES.items():
        match = re.search(pattern, (root / place).read_text(encoding="utf-8"), re.MULTILINE)
        found[place] = match[1] if match else "none"
    if len(set(found.values())) > 1:
        raise ReleaseError(
            "The version is not the same everywhere: " + ", ".join(f"{k}: {v}" for k, v in found.items())
        )
    return next(iter(found.values()))


def write_version(root: Path, release: Release) -> None:
    """Write the version into all its places.

    Raises:
        ReleaseError: the places do not agree now.
    """
    version_now(root)
    for place, pattern in PLACES.items():
        path = root / place
        text = path.read_text(encoding="utf-8")
        path.write_text(
            re.sub(pattern, lambda found: found[0].replace(found[1], release.version), text, flags=re.MULTILINE),
            encoding="utf-8",
        )


def write_changelog(root: Path, release: Release) -> None:
    """Make an entry of the changelog out of all fragments, which are gone then.

    Raises:
        ReleaseError: nothing has changed since the last release, or a fragment is not valid.
    """
    fragments = root / "changelogs" / "fragments"
    if not list(fragments.glob("*.yaml")):
        raise ReleaseError("changelogs/fragments has nothing to release")
    summary = f"---\nrelease_summary: Released on {release.date}.\n"
    (fragments / "release_summary.yaml").write_text(summary, encoding="utf-8")
    command = ["antsibull-changelog", "release", "--version", release.version, "--date", release.date]
    for each in (["antsibull-changelog", "lint"], command):
        _run(each, root, release.environment | _sources(root))


def build(clone: Path, release: Release, into: Path) -> None:
    """Make the files of a release out of a clone: the tag first, since it is of what they are made from."""
    into.mkdir(parents=True)
    write_version(clone, release)
    write_changelog(clone, release)
    tag = f"v{release.version}"
    for command in (
        ["git", "add", "--all"],
        ["git", "commit", "--quiet", "--message", f"Release {release.version}"],
        ["git", "tag", "--annotate", "--message", f"kraken-fleet {release.version}", tag],
        # The wheel comes out of the source distribution, as it does for those who build it themselves.
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(into), "."],
        ["ansible-galaxy", "collection", "build", "--output-path", str(into), "."],
        [sys.executable, "-m", "kraken_fleet.cli.main", "bundle", "build", "--out", str(into)],
        ["cyclonedx-py", "requirements", str(release.requirements), "--pyproject", "pyproject.toml",
         "--output-reproducible", "--output-file", str(into / f"kraken-fleet-{release.version}.cdx.json")],
        # One thread: several pack the same objects in other ways each time.
        ["git", "-c", "pack.threads=1", "bundle", "create", "--quiet",
         str(into / f"kraken-fleet-{release.version}.gitbundle"), tag, "^HEAD~1"],
    ):  # fmt: skip
        _run(command, clone, release.environment | _sources(clone))
    for tarball in into.glob("kraken_ci-fleet-*.tar.gz"):
        tarball.write_bytes(normalized(tarball.read_bytes(), release.epoch))
    write_sums(into)


def _sources(clone: Path) -> dict[str, str]:
    """Return the variables by which programs of this environment run the clone's code instead of this checkout's."""
    beside = str(Path(sys.executable).parent)
    return {
        "PATH": f"{beside}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": f"{clone}{os.pathsep}{clone / 'agent'}",
    }


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"`{' '.join(command)}` failed:\n{done.stdout}{done.stderr}")


def normalized(archive: bytes, epoch: int) -> bytes:
    """Return a .tar.gz with the same files in order of their names: ansible-galaxy writes the time of the build."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as source,
        gzip.GzipFile(fileobj=out, mode="wb", filename="", mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in sorted(source.getmembers(), key=lambda one: one.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, "", ""
            member.pax_headers = {}  # they have the time once more
            target.addfile(member, source.extractfile(member) if member.isfile() else None)
    return out.getvalue()


def write_sums(folder: Path) -> None:
    """Write the file that `sha256sum --check` reads."""
    files = sorted(path for path in folder.iterdir() if path.name != _SUMS)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / _SUMS).write_text("".join(lines), encoding="utf-8")


def differences(first: Path, second: Path) -> list[str]:
    """Return the names of files that are not the same, byte by byte, in both directories."""
    names = sorted({path.name for folder in (first, second) for path in folder.iterdir()})
    _same, different, missing = filecmp.cmpfiles(first, second, names, shallow=False)
    return sorted([*different, *missing])


def make(release: Release, into: Path) -> None:
    """Make the files twice, each time in a clone of its own, and keep the first ones.

    Raises:
        ReleaseError: a step failed, or the two are not the same.
    """
    with tempfile.TemporaryDirectory(prefix="kraken-fleet-release-") as folder:
        made = [Path(folder) / name / "files" for name in ("first", "second")]
        for files in made:
            clone = files.parent / "clone"
            _run(["git", "clone", "--quiet", "--no-tags", str(ROOT), str(clone)], ROOT, dict(os.environ))
            build(clone, release, files)
        if unequal := differences(*made):
            raise ReleaseError(f"Two builds gave other bytes: {', '.join(unequal)}")
        shutil.rmtree(into, ignore_errors=True)
        shutil.copytree(made[0], into)


def sign(into: Path, key: Path) -> None:
    """Sign the checksums, and so all files, with an SSH key."""
    _run(["ssh-keygen", "-q", "-Y", "sign", "-n", _NAMESPACE, "-f", str(key), _SUMS], into, dict(os.environ))


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _next_steps(release: Release, into: Path, key: Path | None) -> str:
    stem = f"{into}/kraken-fleet-{release.version}"
    signed = "" if key else f"Not signed: give an SSH key with KEY=FILE, which signs {_SUMS}.\n"
    return (
        f"{into}: twice the same bytes. Nothing was published, and this checkout is as it was.\n"
        f"{signed}To release it:\n"
        f"  git fetch {stem}.gitbundle v{release.version} && git merge --ff-only FETCH_HEAD && "
        f"git tag v{release.version} FETCH_HEAD\n"
        f"  git push origin main v{release.version}\n"
        f"  twine upload {into}/kraken_fleet-{release.version}*\n"
        f"  ansible-galaxy collection publish {into}/kraken_ci-fleet-{release.version}.tar.gz\n"
    )


def of_checkout(version: str, requirements: Path) -> Release:
    """Return what is released from this checkout.

    Args:
        version: empty to take the one that the files say.
        requirements: as in Release.

    Raises:
        ReleaseError: it is no version, or not all of the checkout is committed.
    """
    version = version or version_now(ROOT)
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"{version!r} is no version like 0.2.0")
    if changed := _git("status", "--porcelain"):
        raise ReleaseError(f"There are changes that are not committed:\n{changed}")
    date = datetime.now(UTC).date().isoformat()
    return Release(version, date, int(_git("log", "-1", "--format=%ct")), requirements)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--version", default="", help="the version to release; default: the one that the files say")
    parser.add_argument("--requirements", type=Path, required=True, help="what it needs at run time, pinned")
    parser.add_argument("--key", type=Path, help="an SSH key that signs the checksums")
    parser.add_argument("--into", type=Path, default=Path("build/release"))
    given = parser.parse_args()
    try:
        release = of_checkout(given.version, given.requirements.resolve())
        make(release, given.into)
        if given.key:
            sign(given.into, given.key.resolve())
    except ReleaseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(_next_steps(release, given.into, given.key))
    return 0


if __name__ == "__main__":
    sys.exit(main())
