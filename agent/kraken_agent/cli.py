"""The agent's command line, which is upstream's: `kkagent run|install|check-integrity`.

It is read by hand: argparse would stay in memory for as long as the agent runs, and costs a tenth of it.
"""

from __future__ import annotations

import os
import sys

from kraken_agent import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple

_USAGE = """\
usage: kkagent COMMAND [OPTION...]    (options may also stand before the command)

Commands:
  run               connect to a Kraken server and work for it
  install           install the agent on this host as a systemd service
  check-integrity   check that this file is complete and works here

Options of run and install (in brackets the variable that is read when the option is not given):
  -s, --server URL              host:port or URL of the Kraken server [KRAKEN_SERVER_ADDR]
  -d, --data-dir DIR            where jobs and reports are kept, default /opt/kraken/data [KRAKEN_DATA_DIR]
  -t, --tools-dirs DIRS         directories with tools of your own, separated by commas [KRAKEN_TOOLS_DIRS]
  -c, --clickhouse-addr ADDR    host:port that takes the log; default what the server says [KRAKEN_CLICKHOUSE_ADDR]
  --system-id ID                the system that this host is, as the server knows it [KRAKEN_SYSTEM_ID]
Options of run:
  --no-update                   never update, whatever KRAKEN_AGENT_UPDATE says
  --one-job                     end after one job
Options of install:
  --sudo                        allow jobs to become root: write a sudoers file
Others:
  --version, --help
"""

# It lives on fork, signals and process groups.
_NOT_HERE = (
    "kkagent: this agent does not run on Windows. Kraken's own agent does, which a Kraken CI server serves as"
    " /bk/install/agent; kraken-fleet puts that one on Windows hosts when kraken_agent_source is server\n"
)

_WITH_VALUE = {
    "-s": "server",
    "--server": "server",
    "-d": "data_dir",
    "--data-dir": "data_dir",
    "-t": "tools_dirs",
    "--tools-dirs": "tools_dirs",
    "-c": "clickhouse_addr",
    "--clickhouse-addr": "clickhouse_addr",
    "--system-id": "system_id",
}
_SWITCHES = {
    "run": {"--no-update": "no_update", "--one-job": "one_job"},
    "install": {"--sudo": "sudo"},
    "check-integrity": {},
}
_BAD_USAGE = 2


class UsageError(Exception):
    """The command line is wrong; the text says how."""


def main(argv: Optional[List[str]] = None) -> int:
    """Run the agent; return the exit code: 0 after a stop that was asked for, 1 for errors, 2 for bad usage."""
    words = sys.argv[1:] if argv is None else argv
    if os.path.basename(sys.argv[0]) == "kktool":
        # One file may serve as both: installed under the name of the other it is that.
        from kraken_agent.tools.kktool import main as kktool

        return kktool(words)
    if any(word in ("--help", "-h") for word in words):
        sys.stdout.write(_USAGE)
        return 0
    if "--version" in words:
        sys.stdout.write(f"{__version__}\n")
        return 0
    if os.name == "nt":
        sys.stderr.write(_NOT_HERE)
        return 1
    try:
        command, options = parse(words)
    except UsageError as error:
        sys.stderr.write(f"kkagent: {error}\n\n{_USAGE}")
        return _BAD_USAGE
    return _COMMANDS[command](options)


def parse(words: List[str]) -> Tuple[str, Dict[str, str]]:
    """Return the command and its options by their names in `config.VARIABLES`; options may stand on either side of it.

    Raises:
        UsageError: the command line is wrong.
    """
    command = ""
    options: Dict[str, str] = {}
    switches: List[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name in _WITH_VALUE:
            if not equals and not rest:
                raise UsageError(f"{word} needs a value")
            options[_WITH_VALUE[name]] = value if equals else rest.pop(0)
        elif word.startswith("-"):
            switches.append(word)
        elif command:
            raise UsageError(f"{word!r} is one word too many after the command {command}")
        elif word not in _SWITCHES:
            raise UsageError(f"{word!r} is not a command")
        else:
            command = word
    if not command:
        raise UsageError("no command is given")
    return command, {**options, **_switched_on(command, switches, options)}


def _switched_on(command: str, switches: List[str], options: Dict[str, str]) -> Dict[str, str]:
    """Return the options of switches, which may stand before the command that they belong to."""
    unknown = [word for word in switches if word not in _SWITCHES[command]]
    if unknown or (options and command == "check-integrity"):
        raise UsageError(f"{command} does not know {unknown[0]!r}" if unknown else f"{command} takes no options")
    return {_SWITCHES[command][word]: "yes" for word in switches}


def _run(options: Dict[str, str]) -> int:
    from kraken_agent.config import ConfigError
    from kraken_agent.loop import Agent

    try:
        agent = Agent(options)
    except ConfigError as error:
        sys.stderr.write(f"kkagent: {error}\n")
        return _BAD_USAGE
    return agent.run()


def _install(options: Dict[str, str]) -> int:
    from kraken_agent.install import install

    return install(options)


def _check_integrity(options: Dict[str, str]) -> int:
    import pkgutil

    import kraken_agent
    from kraken_agent.tools.integrity import check_integrity

    found = pkgutil.walk_packages(kraken_agent.__path__, "kraken_agent.")
    code = check_integrity("kkagent", lambda: [each.name for each in found if not each.name.endswith("__main__")])
    if code == 0:
        sys.stdout.write(f"kkagent {__version__} is complete\n")
    return code


_COMMANDS = {"run": _run, "install": _install, "check-integrity": _check_integrity}
