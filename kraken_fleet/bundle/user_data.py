"""User data for a machine of a cloud: a script that installs the agent there, without SSH."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

# What every archive of kraken-fleet's agent has, and Kraken's own agent has not.
OUR_AGENT = b"kraken_agent/hostinfo.py"

_SCRIPT = """\
#!/bin/sh
# Made by kraken-fleet for the host {host}. The secret in it proves that a machine is this host: it counts once, until
# {until}. cloud-init runs this script as root at the first start.
set -eu
umask 077
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT

if ! command -v git >/dev/null; then
    if command -v apt-get >/dev/null; then
        apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes git
    else
        dnf install --assumeyes git
    fi
fi

python3 - {url} {sha256} "$download/kkagent" <<'END_OF_PROGRAM'
import hashlib, sys, time, urllib.request
url, wanted, path = sys.argv[1:]
for attempt in range(30):
    try:
        content = urllib.request.urlopen(url, timeout=60).read()
        break
    except OSError as error:
        # The network may not be there yet.
        print("kraken-fleet:", url, error, file=sys.stderr)
        time.sleep(10)
else:
    sys.exit("kraken-fleet: the agent cannot be downloaded")
if hashlib.sha256(content).hexdigest() != wanted:
    sys.exit("kraken-fleet: " + url + " is not the file that was meant; make the user data again")
if {ours} not in content:
    sys.exit("kraken-fleet: " + url + " is not kraken-fleet's agent, and another one can report no secret")
open(path, "wb").write(content)
END_OF_PROGRAM

install -d -m 0755 /opt/kraken
cat >/opt/kraken/kraken.env <<'END_OF_SETTINGS'
{settings}END_OF_SETTINGS
printf '%s\\n' {nonce} >/opt/kraken/nonce
{exports}python3 "$download/kkagent" install
chown kraken /opt/kraken/nonce
"""


@dataclass(frozen=True, slots=True)
class UserData:
    """What the script of one host needs.

    Args:
        host: the inventory's name of it.
        url: where it downloads the single file `kkagent`.
        sha256: of that file, in hexadecimal; another file is not run.
        variables: the agent's, for kraken.env.
        nonce: the secret that the agent reports to the server.
        until: when the secret ends to count, for people.
    """

    host: str
    url: str
    sha256: str
    variables: Mapping[str, str]
    nonce: str = field(repr=False)
    until: str

    def script(self) -> str:
        """Write the script. It is to be kept as the secret that is in it."""
        variables = {**self.variables, "KRAKEN_AGENT_NONCE_FILE": "/opt/kraken/nonce"}
        # `kkagent install` takes its own variables from the environment, and leaves others that the file has.
        own = {name: value for name, value in variables.items() if name.startswith("KRAKEN_")}
        others = {name: value for name, value in variables.items() if name not in own}
        return _SCRIPT.format(
            # It stands in a comment, which is one line.
            host=" ".join(self.host.split()),
            until=self.until,
            url=shlex.quote(self.url),
            sha256=shlex.quote(self.sha256),
            ours=OUR_AGENT,
            settings="".join(f"{name}={_quoted(value)}\n" for name, value in sorted(others.items())),
            nonce=shlex.quote(self.nonce),
            exports="".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(own.items())),
        )


def _quoted(value: str) -> str:
    """Write a value as systemd reads it in a file of variables."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
    return f'"{escaped}"'
