"""A host that is no agent wants to reach a server's agent endpoint, or to have the rules of the firewall let it in."""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_fleet.errors import UsageError
from kraken_fleet.model import DesiredAgent, DesiredFleet
from kraken_fleet.network.firewall import allow_list, nftables_rules, nginx_rules

AGENTS = ("192.0.2.21", "2001:db8::21")
OTHERS = ("192.0.2.66", "2001:db8::66")
# Two hosts, as network namespaces: `out` has the addresses of agents and of other hosts, `in` is the server's host.
HOSTS = """
unshare --net sleep 600 & host=$!
until [ "$(readlink /proc/$host/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
within="nsenter --net --target $host"
ip link add name out type veth peer name in netns $host
for address in $3; do ip address add $address dev out nodad; done
ip link set out up
for address in 192.0.2.1/24 2001:db8::1/64; do $within ip address add $address dev in nodad; done
$within ip link set in up
$within nft -f "$1"
$within "$0" "$2" serve &
"$0" "$2" ask $4
kill %1 %2
"""
# Serves at a TCP and a UDP port, or says which sources are answered at which.
HOST = """
import json, socket, sys, threading, time
TCP, UDP = 6363, 9001
def echo(family, place):
    receiver = socket.socket(family, socket.SOCK_DGRAM)
    receiver.bind((place, UDP))
    while True:
        receiver.sendto(*receiver.recvfrom(10))
def reached(kind, source):
    server = "2001:db8::1" if ":" in source else "192.0.2.1"
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.socket(family, kind) as one:
        one.settimeout(1)
        one.bind((source, 0))
        try:
            one.connect((server, TCP if kind == socket.SOCK_STREAM else UDP))
            one.send(b"x")
            return kind == socket.SOCK_STREAM or one.recv(10) == b"x"
        except TimeoutError:
            return False
def wait_for(source):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if all(reached(kind, source) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
                return
        except OSError:
            time.sleep(0.05)
if sys.argv[1] == "serve":
    listeners = [socket.create_server((place, TCP), family=family) for family, place in
             ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))]
    threading.Thread(target=echo, args=(socket.AF_INET, "192.0.2.1"), daemon=True).start()
    echo(socket.AF_INET6, "2001:db8::1")
wait_for(sys.argv[2])
wait_for(sys.argv[3])
print(json.dumps({source: [reached(socket.SOCK_STREAM, source), reached(socket.SOCK_DGRAM, source)]
                  for source in sys.argv[2:]}))
"""
TEXTS = (
    st.sampled_from(["10.0.0.1", "::1", "::ffff:10.0.0.2", "0.0.0.0/0", "10.0.0.0/8", "10.0.0.3; accept"]) | st.text()
)


def fleet(addresses: list[str]) -> DesiredFleet:
    return DesiredFleet(
        tuple(DesiredAgent(f"host-{index}", text) for index, text in enumerate(addresses)), complete=True
    )


@pytest.mark.skipif(
    not all(map(shutil.which, ("nft", "ip", "unshare", "nsenter"))), reason="tries the rules with nft, ip and unshare"
)
def test_from_an_address_that_the_rules_do_not_name(tmp_path: Path) -> None:
    rules, program = tmp_path / "rules.nft", tmp_path / "host.py"
    rules.write_text(nftables_rules(allow_list(fleet([*AGENTS]))))
    program.write_text(HOST)
    of_out = [f"{text}/{64 if ':' in text else 24}" for text in AGENTS + OTHERS]
    hosts = ["bash", "-eu", "-c", HOSTS, sys.executable, str(rules), str(program), " ".join(of_out)]
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", *hosts, " ".join(AGENTS + OTHERS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    both, none = [True, True], [False, False]
    assert json.loads(done.stdout) == {**dict.fromkeys(AGENTS, both), **dict.fromkeys(OTHERS, none)}


@given(addresses=st.lists(TEXTS, max_size=4), besides=st.lists(TEXTS, max_size=2))
def test_by_what_stands_in_the_inventory(addresses: list[str], besides: list[str]) -> None:
    """A host's address lets in itself only; a whole network is let in only by the operator's own option."""
    try:
        allowed = allow_list(fleet(addresses), besides)
    except UsageError:
        return
    for network in allowed.networks:
        assert network.num_addresses == 1 or any("/" in text for text in besides), network
    named = set()
    for text in (nftables_rules(allowed), nginx_rules(allowed, "http://127.0.0.1:6363")):
        for inside in re.findall(r"elements = \{ (.*) \}|allow (.*);", text):
            named |= {ipaddress.ip_network(one) for one in "".join(inside).split(", ")}
    assert named == set(allowed.networks)
