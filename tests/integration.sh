#!/bin/sh
# Runs `ansible-test integration` on the collection, on this machine and with the Python of `make setup`: all targets,
# unless some are named.
#
#     tests/integration.sh
#     tests/integration.sh agent_group
#
# Each target has an embedded server of its own on the loopback network: tests/integration/targets/setup_server.
set -eu

. "$(dirname "$0")/collection_copy.sh"
copy_collection tests/integration
ansible-test integration --local --allow-unsupported "$@"
