"""What the agent does on Windows, where it cannot run: it says so, whatever it is asked to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

AGENT = Path(__file__).parents[3] / "agent"
# Takes from Python what it does not have on Windows, and then does as it is told.
WITHOUT_POSIX = """
import importlib, logging, os, pkgutil, signal, sys, tempfile, subprocess, select, socket, selectors, ctypes

for name in ("pwd", "grp", "fcntl", "resource", "termios", "pty", "syslog"):
    sys.modules[name] = None
for name in ("fork", "setsid", "killpg", "getuid", "geteuid", "getegid", "uname", "waitpid", "WNOHANG", "mkfifo"):
    delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGCHLD", "SIGPIPE", "SIGUSR1"):
    delattr(signal, name)
del socket.AF_UNIX
import kraken_agent
"""


def _without_posix(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_POSIX + code, *words]
    environment = {"PYTHONPATH": str(AGENT), "PATH": ""}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)


def test_every_module_can_be_imported_without_posix() -> None:
    done = _without_posix(
        "for found in pkgutil.walk_packages(kraken_agent.__path__, 'kraken_agent.'):\n"
        "    if not found.name.endswith('__main__'):\n"
        "        importlib.import_module(found.name)\n"
        "        print(found.name)\n"
    )
    assert done.returncode == 0, done.stderr
    assert "kraken_agent.install" in done.stdout.split()


@pytest.mark.parametrize("command", ["run", "install", "check-integrity"])
def test_on_windows_one_message_says_whose_agent_to_take(command: str) -> None:
    code = "import kraken_agent.cli as cli\nos.name = 'nt'\nsys.exit(cli.main(sys.argv[1:]))\n"
    done = _without_posix(code, command, "-s", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "this agent does not run on Windows" in line
    assert "kraken_agent_source" in line


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_on_windows_it_still_says_what_it_is(word: str) -> None:
    code = "import kraken_agent.cli as cli\nos.name = 'nt'\nsys.exit(cli.main(sys.argv[1:]))\n"
    done = _without_posix(code, word)
    assert (done.returncode, done.stderr) == (0, "")
