"""A process that deploys one slice: `python -m kraken_fleet.scale.slice_process`.

It reads the slice from its standard input, one line of JSON, and writes events to its standard output, one a line. That
is all that a runner has to carry, over a pipe, SSH or anything else. When its standard input ends, whoever wanted the
slice is gone: it stops ansible-playbook, which otherwise would go on while another worker begins anew. Meanwhile it
wants to read an empty line now and then, for who is stopped and continued later is as good as gone.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from kraken_fleet import __version__
from kraken_fleet.collection import collection_root
from kraken_fleet.errors import FleetError
from kraken_fleet.scale.events import HostDone, HostStarted, SliceEnded, SliceEvent, to_dict
from kraken_fleet.scale.packages import ansible_runner
from kraken_fleet.scale.playbook import DEPLOY
from kraken_fleet.scale.playbook_processes import PlaybookProcesses
from kraken_fleet.scale.runner import Slice
from kraken_fleet.state import state_dir

# What ansible-playbook gets of the worker's environment besides Ansible's own settings. Runners tell of it, and it may
# hold secrets.
_KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR", "SSH_AUTH_SOCK", "VIRTUAL_ENV", "PYTHONPATH"),
    *("KRAKEN_FLEET_AUDIT_LOG", "KRAKEN_FLEET_STATE_DIR", "XDG_STATE_HOME"),
)
_SECRET = re.compile(r"PASS|SECRET|TOKEN|CREDENTIAL|API_?KEY")
_STATES = {"runner_on_ok": "ok", "runner_on_failed": "failed", "runner_on_unreachable": "unreachable"}
_LONGEST = 500
PATIENCE = 10.0
# Seconds. With PATIENCE it is less than what a scheduler waits for a silent worker; see docs/scale.md.
SILENCE = 30.0
_LOST = "ansible-playbook has ended before it had told of this host"


def bare_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a slice's process may know of an environment: no secret, but Ansible's other settings."""
    return {name: value for name, value in environ.items() if name in _KEPT or _is_setting(name)}


def _is_setting(name: str) -> bool:
    """Tell whether a variable is a setting of Ansible and no secret; the name of a file with a secret is none."""
    return name.startswith("ANSIBLE_") and (name.endswith("_FILE") or not _SECRET.search(name))


def run_slice(work: Slice, tell: Callable[[SliceEvent], None], cancelled: Callable[[], bool]) -> SliceEnded:
    """Deploy a slice with ansible-runner, in a private directory that is removed afterwards.

    Args:
        tell: is called with each event.
        cancelled: is called again and again; says whether to stop.

    Raises:
        FleetError: ansible-runner is not installed, or the slice is of another version of kraken-fleet.
    """
    if work.version != __version__:
        text = f"The worker has kraken-fleet {__version__}, and the deploy {work.version}"
        raise FleetError(text, hint="Install the same version on both")
    runner = ansible_runner()
    with _private_directory() as folder:
        inventory, results = folder / "hosts.json", folder / "results.json"
        (folder / "runner").mkdir()
        inventory.write_text(json.dumps(work.inventory), encoding="utf-8")
        watcher = _Watcher(work.number, tell)
        done = runner.run(
            private_data_dir=str(folder / "runner"),
            host_cwd=str(folder),
            playbook=str(collection_root() / "playbooks" / DEPLOY),
            inventory=str(inventory),
            tags="agent",
            cmdline=" ".join(work.options) or None,
            extravars={"kraken_registration_results": str(results)},
            envvars=_of_ansible(folder),
            # ansible-runner asks cancel_callback only after output, and after so many seconds without any.
            settings={"pexpect_timeout": 1},
            quiet=True,
            # Else ansible-runner writes the environment and the command line into files below its directory.
            suppress_env_files=True,
            event_handler=watcher.see,
            cancel_callback=cancelled,
        )
        found = json.loads(results.read_text(encoding="utf-8"))["hosts"] if results.is_file() else {}
        code = int(done.rc) if done.rc is not None else 1
    lost = {"failed": f"{_LOST}: {watcher.complaint}" if watcher.complaint else _LOST}
    hosts = {host: found.get(host) or watcher.failures.get(host, lost) for host in work.hosts}
    return SliceEnded(work.number, code, hosts, watcher.complaint if not found else "")


@dataclass
class _Watcher:
    """Tells of hosts what ansible-runner tells of tasks, and keeps why they failed."""

    number: int
    tell: Callable[[SliceEvent], None]
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    complaint: str = ""

    def see(self, event: Mapping[str, Any]) -> bool:
        """Take one event of ansible-runner; return that it need not be written into a file."""
        kind, data = event.get("event"), event.get("event_data") or {}
        host = str(data.get("host") or "")
        if kind == "runner_on_start" and data.get("role") == "kraken_agent":
            self.tell(HostStarted(self.number, host))
        elif kind in _STATES:
            self._ended(_STATES[kind], host, data)
        # What ends ansible-playbook before its first task has no event of its own, only a line of output.
        elif kind in ("error", "verbose") and "ERROR" in str(event.get("stdout")):
            self.complaint = str(event["stdout"]).strip()[-_LONGEST:]
        return False

    def _ended(self, state: str, host: str, data: Mapping[str, Any]) -> None:
        result = data.get("res") or {}
        reason = str(result.get("msg") or "no reason was given")[:_LONGEST] if state != "ok" else ""
        if reason and not data.get("ignore_errors"):
            self.failures[host] = {"failed": reason} | ({"unreachable": True} if state == "unreachable" else {})
            self.complaint = reason
        if data.get("role") == "kraken_agent" or reason:
            changed = state == "ok" and result.get("changed")
            self.tell(HostDone(self.number, host, "changed" if changed else state, reason))


def _of_ansible(folder: Path) -> dict[str, str]:
    """Return the variables that ansible-playbook gets besides those that are kept."""
    beside = str(Path(sys.executable).parent)
    own = {
        "PATH": os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]),
        # ansible-runner turns the check of SSH host keys off when nobody has said anything.
        "ANSIBLE_HOST_KEY_CHECKING": os.environ.get("ANSIBLE_HOST_KEY_CHECKING", "True"),
        "ANSIBLE_NOCOLOR": "1",
        # The coordinator remembers the deploy, of which this is a part.
        "KRAKEN_FLEET_STATE_DIR": str(folder / "state"),
    }
    config = collection_root() / "ansible.cfg"
    if "ANSIBLE_CONFIG" not in os.environ and config.is_file():
        own["ANSIBLE_CONFIG"] = str(config)
    return own


@contextmanager
def _private_directory() -> Iterator[Path]:
    """Make a directory that only this account can read, and remove it afterwards.

    One that a killed process has left behind is removed by the next: nobody holds its lock.
    """
    parent = state_dir() / "slices"
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (parent / "lock").open("w") as all_of_them:
        fcntl.flock(all_of_them, fcntl.LOCK_EX)  # nobody sees a directory that has no lock yet
        for old in parent.glob("*/lock"):
            with old.open("w") as lock:
                if _locked(lock):
                    shutil.rmtree(old.parent, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(dir=parent))
        lock = (folder / "lock").open("w")
        _locked(lock)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def main() -> int:
    """Deploy the slice that standard input has; return 0 when a result was written, whatever it says."""
    text = sys.stdin.readline()
    if not text.strip():
        return 1
    lost, begun = threading.Event(), PlaybookProcesses(os.getpid())
    threading.Thread(target=wait_for_end, args=(lost, begun), daemon=True).start()
    # Whatever else prints, such as a library, must not stand among the events.
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lock = threading.Lock()

    def tell(event: SliceEvent) -> None:
        with lock:
            events.write(json.dumps(to_dict(event)) + "\n")
            events.flush()

    def cancelled() -> bool:
        if lost.is_set():
            # ansible-runner kills ansible-playbook next, but not its forks, which have sessions of their own.
            begun.look()
        return lost.is_set()

    work = Slice.from_json(text)
    try:
        ended = run_slice(work, tell, cancelled)
    except FleetError as error:
        ended = SliceEnded(work.number, 1, {host: {"failed": str(error)} for host in work.hosts}, str(error))
    if lost.is_set():
        begun.end(PATIENCE)
    else:
        tell(ended)
    return 0


def wait_for_end(lost: threading.Event, begun: PlaybookProcesses) -> None:
    """Wait until nobody holds the other end of standard input any more, or says nothing there for too long.

    Whoever has been stopped for a while is no longer wanted: others may have the slice by now, and be further.
    """
    heard, source = _now(), sys.stdin.fileno()
    while select.select([source], [], [], SILENCE)[0] and _now() - heard < SILENCE and os.read(source, 4096):
        heard = _now()
    # Before ansible-playbook is told to end: it may leave forks that wait in a pipe for ever.
    begun.look()
    lost.set()
    # Should ansible-runner not see to it, this process ends with all that is left.
    threading.Timer(PATIENCE, _end_all, [begun]).start()


def _now() -> float:
    """Return a time in seconds that goes on while this process is stopped and while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _end_all(begun: PlaybookProcesses) -> None:
    begun.kill()
    # sys.exit would end only the thread of the timer.
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
