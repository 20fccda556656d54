# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
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
# line that it has begun.
_LOOK = """\
echo
say() {{ printf 'kraken-fleet: %s=%s\\n' "$1" "$2"; }}
git=$(command -v git 2>/dev/null) && say git "$git"
for manager in apt-get dnf yum zypper; do
  command -v $manager >/dev/null 2>&1 && say manager $manager && break
done
say system "$(. /etc/os-release 2>/dev/null; printf %s "${{PRETTY_NAME:-$(uname -s)}}")"
{run}for candidate in {candidates}; do
  path=$(command -v "$candidate" 2>/dev/null) || continue
  "$path" -ESs -c '{version}' "$path" 2>/dev/null && break
done
say done yes
"""
# Says the version and whether it is new enough, also in Python 2. Python is run with -ESs: no variable and no package
# of the host is read for that.
_VERSION = f"""\
import sys
sys.stdout.write("kraken-fleet: python=%d.%d.%d %s\\n" % (sys.version_info[:3] + (sys.argv[1],)))
if sys.version_info < {LEAST}: sys.exit(1)
"""
# The first Python that is new enough runs the program at once, for it takes a while to start. It says so on a pipe of
# its own, since a program may end in any way. What is sent along waits to be read: a host that closed the connection
# over it would be told to be unreachable.
_RUN = """\
if [ -n "${{git}}{without_git}" ]; then
  exec 4>&1
  for candidate in {candidates}; do
    path=$(command -v "$candidate" 2>/dev/null) || continue
    begun=$("$path" -ESs -c '{start}' "$path" {program} 3>&1 >&4 4>&-)
    code=$?
    [ -z "$begun" ] || exit $code
  done
fi
{otherwise}"""
# Nothing is imported from the directory that the shell happens to be in. Python reads a program on its standard input
# line by line, and would take most of its time for the one long line of ours.
_START = f"""\
{_VERSION}import os
sys.stdout.write("kraken-fleet: done=yes\\n")
sys.stdout.flush()
os.write(3, b"begun")
os.close(3)
sys.path[:] = filter(None, sys.path)
exec((open(sys.argv[2], "rb") if sys.argv[2:] else sys.stdin.buffer).read())
"""

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
    return _text(interpreter, "")


def look_and_run(interpreter: str, program: str = "", *, without_git: bool) -> str:
    """Return the shell text that looks and, when there is what it takes, runs a Python program.

    Args:
        interpreter: as for `look`.
        program: its path on the host; empty when it comes through standard input.
        without_git: whether to run it all the same when only Git is missing.
    """
    running = _RUN.format(
        candidates=_candidates(interpreter),
        without_git="yes" if without_git else "",
        start=_START,
        program=shlex.quote(program) if program else "",
        otherwise="" if program else "cat >/dev/null\n",
    )
    return _text(interpreter, running)


def _text(interpreter: str, running: str) -> str:
    return _LOOK.format(run=running, candidates=_candidates(interpreter), version=_VERSION)


def _candidates(interpreter: str) -> str:
    return " ".join(map(shlex.quote, (interpreter,) if interpreter else PYTHONS))


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
