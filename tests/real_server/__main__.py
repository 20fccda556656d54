"""The command line: `python tests/real_server up|status|down`."""

from __future__ import annotations

import argparse
import fcntl
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.real_server.down import down, status
from tests.real_server.plan import (
    MAX_OFFSET,
    Instance,
    RealServerError,
    cache_directory,
    default_directory,
    free_offset,
    load,
)
from tests.real_server.up import up


def main() -> int:
    """Run one command; 0 when done, 1 when it could not be, 3 when `status` finds something that does not run."""
    arguments = _parser().parse_args()
    try:
        return int(_COMMANDS[arguments.command](arguments))
    except RealServerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _up(arguments: argparse.Namespace) -> int:
    with _alone():
        instance = _existing(arguments) or _new(arguments)
        up(instance, _say, agent_files=arguments.agent_files)
    print(json.dumps(instance.public(), indent=1))
    return 0


@contextmanager
def _alone() -> Iterator[None]:
    """One server comes up at a time: two of them might find the same ports free."""
    cache_directory().mkdir(parents=True, exist_ok=True)
    with (cache_directory() / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _existing(arguments: argparse.Namespace) -> Instance | None:
    """The instance of the directory; its addresses were chosen when it was made."""
    instance = load(arguments.dir.resolve())
    if instance is None:
        return None
    asked = {"bind": arguments.bind, "advertise": arguments.advertise, "offset": arguments.offset}
    differing = [
        name for name, value in asked.items() if value not in (None, "auto") and str(getattr(instance, name)) != value
    ]
    if differing:
        there = ", ".join(f"--{name} {getattr(instance, name)}" for name in differing)
        raise RealServerError(f"{arguments.dir} holds a server with {there}; choose another --dir, or down --purge it")
    return instance


def _new(arguments: argparse.Namespace) -> Instance:
    bind = arguments.bind or "127.0.0.1"
    advertise = arguments.advertise or bind
    if advertise == "0.0.0.0":
        raise RealServerError("agents cannot be told to connect to 0.0.0.0: give --advertise ADDRESS as well")
    offset = free_offset(bind) if arguments.offset == "auto" else int(arguments.offset or 0)
    if not 0 <= offset < MAX_OFFSET:
        raise RealServerError(f"--offset is 'auto' or a number from 0 to {MAX_OFFSET - 1}")
    return Instance(arguments.dir.resolve(), bind=bind, advertise=advertise, offset=offset)


def _status(arguments: argparse.Namespace) -> int:
    instance = load(arguments.dir)
    if instance is None:
        print(f"no real server in {arguments.dir}")
        return 3
    pids = status(instance)
    print(json.dumps({**instance.public(), "processes": pids}, indent=1))
    return 0 if all(pids.values()) else 3


def _down(arguments: argparse.Namespace) -> int:
    instance = load(arguments.dir)
    if instance is None:
        print(f"no real server in {arguments.dir}")
        return 0
    print("stopped" if down(instance, purge=arguments.purge) else "was not running")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


_COMMANDS = {"up": _up, "status": _status, "down": _down}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="real_server", description=__doc__)
    parser.add_argument("--dir", type=Path, default=default_directory(), help="the instance (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="bring it up; addresses as JSON on standard output")
    starting.add_argument("--bind", help="public address to listen on (default: 127.0.0.1)")
    starting.add_argument("--advertise", help="address that agents are told (default: the one of --bind)")
    starting.add_argument("--offset", help="added to the ports 6363, 9001, 9999 and 7997, or 'auto' (default: 0)")
    starting.add_argument("--agent-files", type=Path, help="directory with kkagent and kktool to hand out")
    commands.add_parser("status", help="what runs, as JSON; 3 when not all of it does")
    stopping = commands.add_parser("down", help="stop it")
    stopping.add_argument("--purge", action="store_true", help="remove its data too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
