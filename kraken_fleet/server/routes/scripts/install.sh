#!/bin/bash
# Installs the Kraken agent of one server on this machine.
set -eu

server_url=@SERVER_URL@
export KRAKEN_CLICKHOUSE_ADDR=@CLICKHOUSE_ADDR@

fail() {
    echo "error: $1" >&2
    exit 1
}

sudo -n true 2>/dev/null || fail "sudo without a password is required"
command -v python3 >/dev/null || fail "python3 is required to run the Kraken agent"

download=$(mktemp --suffix=-kkagent)
trap 'rm -f "$download"' EXIT

if command -v curl >/dev/null; then
    curl -fsS -o "$download" "$server_url/bk/install/agent"
elif command -v wget >/dev/null; then
    wget -q -O "$download" "$server_url/bk/install/agent"
else
    fail "curl or wget is required to download the Kraken agent"
fi

chmod 755 "$download"
python3 "$download" install -s "$server_url"
echo "The Kraken agent is installed."
