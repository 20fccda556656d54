"""The file that the agent's variables come from, `kraken.env`, which may change while the agent runs."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Mapping, MutableMapping, Optional


class EnvFile:
    """What the file said when it was read last.

    Args:
        data_dir: the agent's.
        program: the path that the agent was started by.
        environment: of the process; what the file says is in it already, since systemd has put it there.

    Raises:
        OSError: the file cannot be read.
    """

    def __init__(self, data_dir: str, program: str, environment: MutableMapping[str, str]) -> None:
        self._data_dir = data_dir
        self._program = program
        self._environment = environment
        self._before = self._read() or {}

    def read_again(self) -> Dict[str, str]:
        """Return the environment with what the file says now, and without what only its former text said.

        Raises:
            OSError: there is no file, or it cannot be read.
        """
        fresh = self._read()
        if fresh is None:
            raise FileNotFoundError("there is no kraken.env")
        for name, value in self._before.items():
            # A variable with another value did not come from the file.
            if name not in fresh and self._environment.get(name) == value:
                del self._environment[name]
        self._environment.update(fresh)
        self._before = fresh
        return dict(self._environment)

    def _read(self) -> Optional[Dict[str, str]]:
        path = env_file(self._data_dir, self._program, self._environment)
        return None if path is None else read_env_file(path)


def env_file(data_dir: str, program: str, environment: Mapping[str, str]) -> Optional[str]:
    """Return the file that the agent's variables come from, or None when there is none.

    It is the one that KRAKEN_AGENT_ENV_FILE names, or `kraken.env` beside the data directory or above the program.
    """
    places = [environment.get("KRAKEN_AGENT_ENV_FILE", ""), os.path.join(os.path.dirname(data_dir), "kraken.env")]
    directory = os.path.dirname(os.path.realpath(program))
    # The program is in versions/RELEASE/ of the directory that has kraken.env.
    for _ in range(3):
        places.append(os.path.join(directory, "kraken.env"))
        directory = os.path.dirname(directory)
    return next((place for place in places if place and os.path.isfile(place)), None)


def read_env_file(path: str) -> Dict[str, str]:
    """Return the variables of a file as systemd's EnvironmentFile has them: NAME=VALUE, comments, quotes around values.

    Raises:
        OSError: it cannot be read.
    """
    variables = {}
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            name, equals, value = line.strip().partition("=")
            if equals and name and not name.startswith(("#", ";")):
                variables[name.strip()] = _unquoted(value.strip())
    return variables


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        quote, value = value[0], value[1:-1]
        if quote == '"':
            value = value.replace('\\"', '"').replace("\\$", "$").replace("\\`", "`").replace("\\\\", "\\")
    return value
