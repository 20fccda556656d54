"""Reaching lab hosts by SSH: a key of the lab's own, and a known_hosts file from the hosts' real keys.

The hosts' public keys come over a channel that needs no trust in the network (the container engine), so host key
checking stays on and means something.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from kraken_fleet.errors import LabError

PORT = 22
_POLL = 0.1
_BANNER = b"SSH-2.0-"


# Where that is used up, systemd ends at once and says nothing.
_MANY_HOSTS = (
    "With more than about 25 hosts raise fs.inotify.max_user_instances of this machine, of which systemd takes five"
)


def own_key(folder: Path) -> Path:
    """Return the lab's private key, and make it when there is none; the public one lies beside it with `.pub`.

    Raises:
        LabError: there is no ssh-keygen, or it failed.
    """
    key = folder / "id_ed25519"
    if key.exists():
        return key
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "kraken-fleet lab", "-f", str(key)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise LabError("ssh-keygen is not installed", hint="apt-get install openssh-client") from error
    except subprocess.CalledProcessError as error:
        raise LabError(f"ssh-keygen failed: {error.stderr.strip()}", where=str(key)) from error
    return key


def write_known_hosts(file: Path, keys: Iterable[tuple[str, str]]) -> None:
    """Write pairs of address and public key, several of an address included."""
    lines = [f"{address} {' '.join(key.split()[:2])}\n" for address, key in keys]
    file.write_text("".join(lines), encoding="utf-8")


def variables(address: str, key: Path, known_hosts: Path) -> dict[str, object]:
    """Return what Ansible must know to log in as root with the lab's key and to check the host's."""
    # Quoted twice: Ansible splits the arguments as a shell does, then ssh splits the value at blanks.
    options = [f'UserKnownHostsFile="{known_hosts}"', "StrictHostKeyChecking=yes", "IdentitiesOnly=yes"]
    return {
        "ansible_host": address,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": " ".join(f"-o {shlex.quote(option)}" for option in options),
    }


def wait_for_banner(address: str, *, seconds: float) -> None:
    """Wait until sshd greets.

    Raises:
        LabError: it does not in time.
    """
    deadline = time.monotonic() + seconds
    while not _greets(address):
        if time.monotonic() > deadline:
            raise LabError(f"sshd did not come up within {seconds:.0f} s", where=address, hint=_MANY_HOSTS)
        time.sleep(_POLL)


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, PORT), timeout=2) as connection:
            return connection.recv(len(_BANNER)) == _BANNER
    except OSError:
        return False
