#!/usr/bin/env bash
set -eu
. ../setup_server/with_server.sh
ansible-playbook -i localhost, play.yml "$@"
