# To be sourced by a target's runme.sh: starts an embedded server, which ends with the script.

folder=$(mktemp -d)
server=
finish() {
    if [ -n "$server" ]; then kill "$server" && wait "$server" || true; fi
    rm -rf "$folder"
}
trap finish EXIT

python -c 'import secrets; print(secrets.token_urlsafe())' >"$folder/password"
chmod 600 "$folder/password"
kraken-fleet serve --port 0 --data-dir "$folder/data" --admin-password-file "$folder/password" \
    --ready-file "$folder/ready" >"$folder/log" 2>&1 &
server=$!
for _ in $(seq 300); do
    if [ -s "$folder/ready" ] || ! kill -0 "$server"; then break; fi
    sleep 0.2
done
[ -s "$folder/ready" ] || { cat "$folder/log" >&2; exit 1; }

KRAKEN_FLEET_SERVER=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["url"])' "$folder/ready")
export KRAKEN_FLEET_SERVER KRAKEN_FLEET_USER=admin KRAKEN_FLEET_PASSWORD_FILE="$folder/password"
