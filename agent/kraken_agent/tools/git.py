"""The tool `git`: clones a repository, from a bundle in the object store when there is one, and checks a commit out.

Step fields: `checkout` (URL), `branch`, `destination`, `ssh-key`, `access-token`, `git_cfg`, `timeout` (seconds,
for each git command), and what the server adds: `http_url`, `trigger_data`, the place of the bundle.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from kraken_agent.tools.command import STEP_TIMEOUT, Finished
from kraken_agent.tools.git_access import GitAccess
from kraken_agent.tools.git_bundle import BundleCache
from kraken_agent.tools.git_command import Git
from kraken_agent.tools.masking import secrets_of
from kraken_agent.tools.output import say

Outcome = Tuple[int, str]

# What upstream checks out when a step names no branch; a repository without it is checked out at its own default.
_USUAL_BRANCH = "master"


def run(step: Mapping[str, Any]) -> Outcome:
    """Clone and check out; return git's exit code and a message."""
    url = str(step["checkout"])
    branch = str(step.get("branch") or "")
    for value in (url, branch, str(step.get("destination") or "")):
        if value.startswith("-"):
            return 1, f"{value!r} looks like an option of git; that is refused"
    directory = Path(step.get("destination") or repository_name(url))
    with GitAccess(url, step) as access:
        git = Git(access, secrets=secrets_of(step), timeout=int(step.get("timeout") or 0))
        failure = _obtain(git, access.url, directory, step)
        return failure or _check_out(git.at(directory), branch, triggered_commit(step))


def repository_name(url: str) -> str:
    """Return the directory that `git clone` would choose."""
    name = url.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    return name[: -len(".git")] if name.endswith(".git") else name


def triggered_commit(step: Mapping[str, Any]) -> Optional[str]:
    """Return the commit that the run was triggered for, when it was triggered by this repository."""
    data = step.get("trigger_data")
    first = data[0] if isinstance(data, list) and data else data
    if not isinstance(first, dict) or first.get("repo") != step.get("http_url"):
        return None
    commit = str(first.get("after") or "")
    return commit if commit and not commit.startswith("-") else None


def _obtain(git: Git, url: str, directory: Path, step: Mapping[str, Any]) -> Optional[Outcome]:
    """Get the repository; None when it is there."""
    # git clones into an existing directory only when it is empty, and says so itself; what is in it is not removed
    # here.
    existed = directory.exists()
    with BundleCache(step) as cache:
        bundle = cache.fetch()
        if bundle is not None and not existed:
            if _restore(git, url, directory, bundle):
                cache.store_if_changed(git.at(directory))
                return None
            shutil.rmtree(directory, ignore_errors=True)
        cloned = git.run("clone", *git.access.public_settings(), "--", url, str(directory))
        if cloned.code != 0:
            return _failure("git clone", cloned)
        _mention_left_out(git.access)
        cache.store_if_changed(git.at(directory))
    return None


def _restore(git: Git, url: str, directory: Path, bundle: Path) -> bool:
    """Make the repository of a bundle and bring it up to date. A bundle that does not work is only a lost shortcut."""
    if git.run("clone", *git.access.public_settings(), "--no-checkout", "--", str(bundle), str(directory)).code != 0:
        say("the bundle in the cache does not work; cloning from the start")
        return False
    _mention_left_out(git.access)
    steps: Sequence[List[str]] = (
        ["remote", "set-url", "origin", url],
        ["fetch", "--prune", "--tags", "--force", "origin", "+refs/heads/*:refs/remotes/origin/*"],
        # `git fetch` leaves the default branch as the bundle had it; the remote may have another one now.
        ["remote", "set-head", "origin", "--auto"],
    )
    return all(git.at(directory).run(*words).code == 0 for words in steps)


def _mention_left_out(access: GitAccess) -> None:
    """`git clone -c` keeps settings in the new repository; those with a secret in them work here, but are not kept."""
    left_out = access.secret_setting_names()
    if left_out:
        say(f"not kept in the repository's config, since a secret is in it: {', '.join(left_out)}")


def _check_out(git: Git, branch: str, commit: Optional[str]) -> Outcome:
    wanted = commit or branch
    if wanted:
        target = _resolve(git, wanted) or _fetch_and_resolve(git, wanted)
    else:
        target = _resolve(git, _USUAL_BRANCH) or _default_branch(git)
    if target is None:
        return 1, f"there is no branch, tag or commit {wanted or _USUAL_BRANCH!r} in the repository"
    done = git.run("checkout", *target)
    return (0, "") if done.code == 0 else _failure("git checkout", done)


def _resolve(git: Git, name: str) -> Optional[List[str]]:
    """Return the arguments of `git checkout` for a branch of the remote, a tag or a commit; None when there is none."""
    if git.quietly("rev-parse", "--verify", "--quiet", f"refs/remotes/origin/{name}").code == 0:
        return ["-B", name, "--track", f"origin/{name}"]
    if git.quietly("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").code == 0:
        return ["--detach", name]
    return None


def _fetch_and_resolve(git: Git, name: str) -> Optional[List[str]]:
    """Fetch a commit by its name: those of pull requests are on no branch."""
    fetched = git.run("fetch", "origin", name)
    return ["--detach", "FETCH_HEAD"] if fetched.code == 0 else None


def _default_branch(git: Git) -> Optional[List[str]]:
    head = git.quietly("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
    name = head.output.strip()
    return _resolve(git, name[len("origin/") :]) if name.startswith("origin/") else None


def _failure(what: str, finished: Finished) -> Outcome:
    if finished.code == STEP_TIMEOUT:
        return STEP_TIMEOUT, f"{what} took longer than the step's timeout"
    return finished.code, f"{what} exited with non-zero retcode {finished.code}"
