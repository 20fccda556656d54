"""`kkagent install`: make this file a systemd service of this host. Repeating it changes nothing that is right.

Unlike upstream's it gives the user no sudo rights unless asked, and keeps what somebody added to kraken.env. The host
is then as a deploy of kraken-fleet leaves it: tests/unit/plugins/test_kkagent_install.py compares the two, since the
agent cannot import the provisioner.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys

from kraken_agent import __version__, root_files
from kraken_agent.config import AGENT_DIR, VARIABLES, Config, ConfigError
from kraken_agent.env_file import read_env_file
from kraken_agent.service_unit import unit_text
from kraken_agent.update import switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Mapping

_USER = "kraken"
_UNIT = "kraken-agent.service"
_UNIT_PATH = f"/etc/systemd/system/{_UNIT}"
_SUDOERS_PATH = "/etc/sudoers.d/kraken"
_SUDOERS = f"{_USER} ALL=(ALL) NOPASSWD: ALL\n"
_ONE_JOB = "KRAKEN_AGENT_ONE_JOB"
# Groups whose members may use an engine. Whoever is in one is root on the host: nobody is put into it unasked.
_ENGINE_GROUPS = ("docker", "lxd")
_DATA_MODE = 0o700


class InstallError(Exception):
    """This host cannot be made an agent; the text says why."""


def install(options: Mapping[str, str]) -> int:
    """Install this file; return the exit code."""
    if os.geteuid() != 0:
        os.execvp("sudo", ["sudo", "-n", *_kept(), sys.executable, os.path.abspath(sys.argv[0]), *_arguments(options)])
    try:
        config = Config(options, os.environ)
        changes = Installer(config, sudo=bool(options.get("sudo"))).run()
    except (ConfigError, InstallError, OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"kkagent: {error}\n")
        return 1
    for change in changes:
        sys.stdout.write(f"{change}\n")
    sys.stdout.write("the agent is installed\n" if changes else "the agent was installed already; nothing changed\n")
    return 0


def _arguments(options: Mapping[str, str]) -> List[str]:
    """Return the options again, with what the variables say: sudo takes no environment along."""
    words = ["install"]
    for name, variable in VARIABLES.items():
        value = options.get(name) or os.environ.get(variable)
        if value:
            words += [f"--{name.replace('_', '-')}", value]
    return [*words, "--sudo"] if options.get("sudo") else words


def _given() -> Dict[str, str]:
    """Read the agent's variables from the environment of this command."""
    return {name: value for name, value in os.environ.items() if name.startswith("KRAKEN_") or name == "SSL_CERT_FILE"}


def _kept() -> List[str]:
    """Write words that keep the variables: sudo takes no environment along. None of them is a secret."""
    return ["env", *(f"{name}={value}" for name, value in _given().items())]


class Installer:
    """One installation.

    Args:
        config: the settings that go into kraken.env.
        sudo: whether jobs may become root.
        root: the agent's directory.
    """

    def __init__(self, config: Config, *, sudo: bool = False, root: str = AGENT_DIR) -> None:
        self._config = config
        self._sudo = sudo
        self._root = root
        self._variables = self._env()
        self._changes: List[str] = []

    def run(self) -> List[str]:
        """Do what is missing; return what was done."""
        import pwd

        if self._is_one_job:
            self._check_one_job()
        self._user()
        entry = pwd.getpwnam(_USER)
        self._directory(self._root, 0o755, 0, 0)
        self._directory(os.path.join(self._root, "versions"), 0o755, 0, 0)
        self._directory(self._config.data_dir, _DATA_MODE, entry.pw_uid, entry.pw_gid)
        self._binaries()
        self._file(os.path.join(self._root, "kraken.env"), self._env_text(), 0o640, entry.pw_gid)
        if self._sudo:
            self._sudoers()
        self._service()
        return self._changes

    def _user(self) -> None:
        import grp
        import pwd

        try:
            pwd.getpwnam(_USER)
        except KeyError:
            shell = shutil.which("nologin", path="/usr/sbin:/sbin:/usr/bin:/bin") or "/bin/false"
            self._command(
                "useradd", "--system", "--user-group", "--no-create-home", "--home-dir", self._config.data_dir,
                "--shell", shell, "--comment", "Kraken CI agent", _USER,
            )  # fmt: skip
            self._changes.append(f"added user {_USER}")
        for name in _ENGINE_GROUPS:
            try:
                is_member = _USER in grp.getgrnam(name).gr_mem
            except KeyError:
                continue
            if not is_member:
                sys.stdout.write(
                    f"Jobs cannot use {name}: for that, run `usermod --append --groups {name} {_USER}`, which lets them"
                    " become root on this host\n"
                )

    def _directory(self, path: str, mode: int, uid: int, gid: int) -> None:
        if root_files.directory(path, mode, uid, gid):
            self._changes.append(f"made {path}")

    def _binaries(self) -> None:
        """This very file, under both names: called kktool it is that."""
        with open(os.path.abspath(sys.argv[0]), "rb") as file:
            content = file.read()
        if not content.startswith(b"#!") or b"PK\x03\x04" not in content:
            raise InstallError(f"{sys.argv[0]} is not the single file kkagent; build or download that first")
        release = f"{__version__}-{hashlib.sha256(content).hexdigest()[:8]}"
        directory = os.path.join(self._root, "versions", release)
        self._directory(directory, 0o755, 0, 0)
        for name in ("kkagent", "kktool"):
            self._binary(os.path.join(directory, name), content)
        target = os.path.join("versions", release)
        link = os.path.join(self._root, "current")
        if not os.path.islink(link) or os.readlink(link) != target:
            switch(self._root, target)
            self._changes.append(f"made {release} current")

    def _binary(self, path: str, content: bytes) -> None:
        if root_files.has(path, 0o755, 0, 0) and root_files.read(path) == content:
            return
        root_files.write(path, content, 0o755, 0, 0)
        self._changes.append(f"wrote {path}")

    @property
    def _is_one_job(self) -> bool:
        return self._variables.get(_ONE_JOB) == "yes"

    def _check_one_job(self) -> None:
        """Refuse a fresh agent for each job where jobs can leave things in places that nobody empties."""
        if self._sudo:
            raise InstallError(f"{_ONE_JOB}: with --sudo a job can leave anything anywhere")
        if self._variables.get("KRAKEN_AGENT_UPDATE") == "server":
            raise InstallError(f"{_ONE_JOB}: an agent that updates itself can change its files")

    def _env(self) -> Dict[str, str]:
        path = os.path.join(self._root, "kraken.env")
        variables: Dict[str, str] = read_env_file(path) if root_files.read(path) is not None else {}
        config = self._config
        wanted = {
            "KRAKEN_SERVER_ADDR": config.server,
            "KRAKEN_DATA_DIR": config.data_dir,
            "KRAKEN_CLICKHOUSE_ADDR": config.log_address,
            "KRAKEN_TOOLS_DIRS": ",".join(config.tools_dirs),
            "KRAKEN_SYSTEM_ID": config.system_id,
        }
        variables.update(_given())
        variables.update({name: value for name, value in wanted.items() if value})
        if variables.get(_ONE_JOB) == "yes":
            # The agent empties it. The account's own home is not for jobs to write to.
            variables.setdefault("HOME", os.path.join(config.data_dir, "home"))
        return variables

    def _env_text(self) -> str:
        return "".join(f"{name}={_quoted(value)}\n" for name, value in self._variables.items())

    def _sudoers(self) -> None:
        if not shutil.which("visudo"):
            raise InstallError("--sudo needs sudo and its visudo on this host")
        fresh = _SUDOERS_PATH + ".new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o440)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(_SUDOERS)
        try:
            self._command("visudo", "-c", "-f", fresh)
        finally:
            os.unlink(fresh)
        self._file(_SUDOERS_PATH, _SUDOERS, 0o440, 0)

    def _file(self, path: str, text: str, mode: int, gid: int) -> bool:
        """Return a file of root's; return whether it was written."""
        content = text.encode("utf-8")
        if root_files.has(path, mode, 0, gid) and root_files.read(path) == content:
            return False
        root_files.write(path, content, mode, 0, gid)
        self._changes.append(f"wrote {path}")
        return True

    def _service(self) -> None:
        text = unit_text(self._config, self._root, _USER, sudo=self._sudo, one_job=self._is_one_job)
        # An agent that runs has read its file and its variables at its start.
        has_changed = bool(self._changes)
        unit_changed = self._file(_UNIT_PATH, text, 0o644, 0)
        # The directory is there while systemd runs (sd_booted(3)).
        if not os.path.isdir("/run/systemd/system"):
            sys.stdout.write(f"systemd does not run here: start {self._root}/current/kkagent yourself\n")
            return
        if unit_changed:
            self._command("systemctl", "daemon-reload")
        self._command("systemctl", "enable", "--quiet", _UNIT)
        self._command("systemctl", "restart" if has_changed or unit_changed else "start", _UNIT)

    def _command(self, *words: str) -> None:
        done = subprocess.run(words, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            said = done.stdout.decode("utf-8", "replace").strip()
            raise InstallError(f"{' '.join(words)} ended with {done.returncode}: {said}")


def _quoted(value: str) -> str:
    """Return a value as both systemd and a shell read it."""
    if value and all(character.isalnum() or character in "_-./:,@%+" for character in value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
    return f'"{escaped}"'
