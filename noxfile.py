"""Runs kraken-fleet with each version that it is for, and remembers what passed: `nox --list` says what there is.

A session whose Python or package cannot be had here is skipped, and what is known of it stays. The results go into
docs/versions.json; `make docs` makes the table in docs/versions.md out of them. Nobody writes into either by hand.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import nox
from nox.command import CommandFailed

ROOT = Path(__file__).parent
RESULTS = ROOT / "docs" / "versions.json"
DEPLOY = ROOT / "playbooks" / "deploy-agents.yml"
# Which Pythons each ansible-core runs on.
CONTROLLERS = {
    "2.19": ("3.11", "3.12", "3.13"),
    "2.20": ("3.12", "3.13", "3.14"),
    "2.21": ("3.12", "3.13", "3.14"),
    "2.22": ("3.13", "3.14"),
}
HOSTS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
DEBIANS = {"11": "kraken_agent_bullseye", "12": "kraken_agent", "13": "kraken_agent_trixie"}
# Quick, and without other programs than Python's own.
UNIT = ("api", "plan", "inventory", "cli", "plugins/test_agent_group.py", "plugins/test_module_defaults.py")

nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["controller", "hosts"]


def remember(kind: str, name: str, work: Callable[[], str]) -> None:
    """Do the work of a session and write down how it went.

    Args:
        kind: `controller`, `hosts` or `debian`.
        name: what of that kind was tried, such as `3.12 2.21`.
        work: returns the exact versions.
    """
    entry: dict[str, str] = {"day": datetime.now(UTC).date().isoformat()}
    try:
        entry |= {"outcome": "passed", "versions": work()}
    except CommandFailed:
        entry["outcome"] = "failed"
        raise
    finally:
        known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        known.setdefault(kind, {})[name] = entry
        RESULTS.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@nox.session
@nox.parametrize(
    ("python", "core"),
    [(python, core) for core, pythons in CONTROLLERS.items() for python in pythons],
    ids=[f"{python}-{core}" for core, pythons in CONTROLLERS.items() for python in pythons],
)
def controller(session: nox.Session, core: str) -> None:
    """The demo, and quick unit tests, on a Python with an ansible-core."""
    wanted = _installable(session, f"ansible-core=={core}.*")
    test = nox.project.dependency_groups(nox.project.load_toml(ROOT / "pyproject.toml"), "test")
    session.install("-e", f"{ROOT}[all]", *test, "aiosmtpd", "PyYAML")
    # Apart: the bounds in pyproject.toml are what the runs are to open.
    session.install("--no-deps", *wanted)

    def work() -> str:
        session.run("kraken-fleet", "lab", "demo", "--name", f"nox-{session.python}-{core}".replace(".", "-"))
        places = session.posargs or [f"tests/unit/{each}" for each in UNIT]
        session.run("python", "-m", "pytest", "-q", "-n", "auto", *places)
        asked = "import platform, ansible; print(platform.python_version(), ansible.__version__)"
        return str(session.run("python", "-c", asked, silent=True)).strip()

    remember("controller", f"{session.python} {core}", work)


def _installable(session: nox.Session, package: str) -> list[str]:
    """Return what pip is told to install: a release, or a candidate for one where there is no release yet."""
    for wanted in ([package], ["--pre", package]):
        try:
            session.run(
                "python", "-m", "pip", "download", "-q", "--no-deps", "-d", session.create_tmp(), *wanted, silent=True
            )
        except CommandFailed:
            continue
        return wanted
    return session.skip(f"{package} cannot be installed on this Python")


@nox.session(venv_backend="none")
@nox.parametrize("python_of_host", HOSTS)
def hosts(session: nox.Session, python_of_host: str) -> None:
    """A deploy to a host with this Python, by the kraken-fleet that runs nox, and a job on its agent."""
    path = shutil.which(f"python{python_of_host}")
    if not path:
        session.skip(f"There is no Python {python_of_host} here")
    name = f"nox-host-{python_of_host}".replace(".", "-")

    def work() -> str:
        with tempfile.TemporaryDirectory() as folder:
            session.chdir(folder)
            session.run("kraken-fleet", "lab", "up", "--name", name, "--hosts", "1", "--no-deploy")
            try:
                given = [f"{variable}={path}" for variable in ("kraken_agent_python", "ansible_python_interpreter")]
                session.run("bash", "-c", f'. .lab/{name}/env && exec "$@"', "-", "ansible-playbook", str(DEPLOY),
                            *(part for each in given for part in ("-e", each)))  # fmt: skip
            finally:
                session.run("kraken-fleet", "lab", "down", "--name", name)
        return str(session.run(path, "-c", "import platform; print(platform.python_version())", silent=True)).strip()

    remember("hosts", python_of_host, work)


@nox.session(venv_backend="none")
@nox.parametrize("release", list(DEBIANS))
def debian(session: nox.Session, release: str) -> None:
    """As root, with Docker: the role on a host with systemd of this Debian."""

    def work() -> str:
        session.run("molecule", "test", "--scenario-name", DEBIANS[release])
        return f"Debian {release}"

    remember("debian", release, work)
