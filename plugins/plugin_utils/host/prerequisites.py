"""Shell text that finds, and installs, what an agent needs on a host which may have no Python yet."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.applied_settings import is_for_connections
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.interpreter import PLATFORM_PYTHON, VERSIONED

# Tried in order; a distribution's own default comes first.
PYTHONS = ("python3", "/usr/bin/python3", *VERSIONED, "/usr/local/bin/python3", PLATFORM_PYTHON)
LEAST = (3, 8)
# Anywhere in a line: a login may print text or an escape sequence without a line end before it.
_LINE = re.compile(r"kraken-fleet: (\w+)=(.*)$", re.MULTILINE)

# Says one thing a line. The prefix tells them from what a login shell prints of itself, and the first `echo` ends a
# line that it has begun. Python is run with -ESs: no variable and no package of the host is read for a version.
_LOOK = """\
echo
say() {{ printf 'kraken-fleet: %s=%s\\n' "$1" "$2"; }}
python=
for candidate in {candidates}; do
  path=$(command -v "$candidate" 2>/dev/null) || continue
  version=$("$path" -ESs -c '{version}' 2>/dev/null) && python=$path
  [ -z "$version" ] || say python "$version $path"
  [ -z "$python" ] || break
done
git=$(command -v git 2>/dev/null) && say git "$git"
for manager in apt-get dnf yum zypper; do
  command -v $manager >/dev/null 2>&1 && say manager $manager && break
done
say system "$(. /etc/os-release 2>/dev/null; printf %s "${{PRETTY_NAME:-$(uname -s)}}")"
say done yes
"""
# Prints it in any case; the exit code says whether it is new enough. Also Python 2 understands it.
_VERSION = f'import sys; print("%d.%d.%d" % sys.version_info[:3]); sys.exit(sys.version_info < {LEAST})'
# What is sent along waits to be read: a host that closed the connection over it would be told to be unreachable.
_RUN = """\
if [ -n "$python" ] && [ -n "${{git}}{without_git}" ]; then exec "$python" {program}; fi
{otherwise}"""
# Python reads a program on its standard input line by line, and takes most of its time for the one long line of ours.
_FROM_INPUT = "-c 'import sys; exec(sys.stdin.buffer.read())'"

# Another installation may hold the lock of Debian's package database for a while.
_APT = "apt-get -q -o DPkg::Lock::Timeout={timeout}"
_INSTALL: Mapping[str, str] = {
    "apt-get": "export DEBIAN_FRONTEND=noninteractive; "
    "{apt} update && {apt} install -y --no-install-recommends {packages}",
    "dnf": "dnf -q -y install {packages}",
    "yum": "yum -q -y install {packages}",
    "zypper": "zypper -n -q install --no-recommends {packages}",
}
# The first that the distribution has: a plain python3 is 3.6 on RHEL 8 and on SLES 15.
_PYTHON_PACKAGES: Mapping[str, Sequence[str]] = {
    "apt-get": ("python3",),
    "dnf": ("python3.12", "python3.11", "python39", "python3"),
    "yum": ("python3.11", "python39", "python3"),
    "zypper": ("python312", "python311", "python3"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a host has.

    Args:
        python: the path of a Python that is new enough; empty when there is none.
        version: its version, or of the newest that is too old.
        complete: whether the whole answer arrived.
    """

    python: str = ""
    version: str = ""
    git: str = ""
    manager: str = ""
    system: str = ""
    complete: bool = False

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(name for name, there in (("python", self.python), ("git", self.git)) if not there)


def look(interpreter: str = "") -> str:
    """Return the shell text that looks.

    Args:
        interpreter: the Python that the inventory names; then no other will do.
    """
    candidates = (interpreter,) if interpreter else PYTHONS
    return _LOOK.format(candidates=" ".join(map(shlex.quote, candidates)), version=_VERSION)


def look_and_run(interpreter: str, program: str = "", *, without_git: bool) -> str:
    """Return the shell text that looks and then, when there is what it takes, runs a Python program.

    Args:
        interpreter: as for `look`.
        program: its path on the host; empty when it comes through standard input.
        without_git: whether to run it all the same when only Git is missing.
    """
    running = _RUN.format(
        without_git="yes" if without_git else "",
        program=shlex.quote(program) if program else _FROM_INPUT,
        otherwise="" if program else "cat >/dev/null\n",
    )
    return look(interpreter) + running


def read(output: str) -> Found:
    """Return what the answer to `look` says."""
    values: dict[str, str] = {}
    pythons: list[tuple[tuple[int, ...], str, str]] = []
    for name, value in _LINE.findall(output.replace("\r", "")):
        if name == "python":
            version, _space, path = value.partition(" ")
            pythons.append((tuple(int(part) for part in version.split(".")), version, path))
        else:
            values[name] = value
    good = next((one for one in pythons if one[0] >= LEAST), None)
    newest = good or max(pythons, default=((), "", ""))
    return Found(
        python=good[2] if good else "",
        version=newest[1],
        git=values.get("git", ""),
        manager=values.get("manager", ""),
        system=values.get("system", ""),
        complete="done" in values,
    )


def install(found: Found, timeout: int) -> str:
    """Return the shell text that installs what is missing; empty when the host has no package manager that is known.

    Args:
        timeout: seconds to wait for another installation that is going on.
    """
    if found.manager not in _INSTALL:
        return ""
    command = _INSTALL[found.manager]
    apt = _APT.format(timeout=timeout)
    if "python" not in found.missing:
        return command.format(apt=apt, packages="git")
    git = " git" if "git" in found.missing else ""
    tries = [command.format(apt=apt, packages=name + git) for name in _PYTHON_PACKAGES[found.manager]]
    return " || ".join(f"( {one} )" for one in tries)


def one_line(text: str) -> str:
    """Return the same shell text in one line without quotes, history marks and the like.

    Ansible puts it within quotes on a command line that the user's login shell reads first, and csh and tcsh take
    neither a line end nor a `!` there.
    """
    return f"eval \"$(printf '{''.join(map(_printable, text))}')\""


def _printable(character: str) -> str:
    if character == "%":
        return "%%"
    plain = character.isascii() and (character.isalnum() or character in " .,:;/=+-_()[]{}<>|&")
    return character if plain else "".join(f"\\{byte:03o}" for byte in character.encode())


# Reads its text from standard input: what a command line says, all users of the host can see. What runs then
# has no input, so that no package manager waits for an answer.
FROM_INPUT = 'eval "$(cat)" </dev/null'


def proxies(environment: Mapping[str, object]) -> dict[str, str]:
    """Return those of an agent's variables that name proxies and certificate authorities."""
    return {name: str(value) for name, value in environment.items() if is_for_connections(name)}


def exports(variables: Mapping[str, str]) -> str:
    """Write shell text that sets variables for what follows it."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items()))


def complaint(found: Found) -> str:
    """Return what is missing, for people."""
    parts = []
    if "python" in found.missing:
        old = f"only Python {found.version}" if found.version else "no Python"
        parts.append(f"the host has {old}; the agent and Ansible need Python 3.8 or newer")
    if "git" in found.missing:
        parts.append("the host has no Git; jobs need it to check out sources")
    return " and ".join(parts)
