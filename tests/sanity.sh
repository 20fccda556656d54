#!/bin/sh
# Runs `ansible-test sanity` on the collection, validate-modules unless told otherwise:
#
#     tests/sanity.sh
#     tests/sanity.sh --test yamllint --test validate-modules
#
# ansible-test wants the collection at ansible_collections/NAMESPACE/NAME in a git repository of its own, so it gets a
# copy of what is here now, committed or not. The modules are under the Apache licence, which validate-modules asks to
# be excused for: see tests/sanity/. The environment that it makes for itself is kept in .ansible/sanity.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
PATH="$root/.venv/bin:$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

collection="$work/ansible_collections/kraken_ci/fleet"
mkdir -p "$collection"
cd "$root"
git ls-files -z --cached --others --exclude-standard -- \
    CHANGELOG.md LICENSE README.md galaxy.yml meta playbooks plugins roles tests/sanity |
    tar --create --null --files-from=- --ignore-failed-read | tar --extract --directory="$collection"

cd "$collection"
git init --quiet
git add --all
git -c user.name=sanity -c user.email=sanity@localhost -c commit.gpgsign=false commit --quiet --message "To be checked"

# ansible-test would fetch the script that installs pip from its makers' own site. Python brings a pip along, and that
# does as well, also where only a package index can be reached.
export PIP_CACHE_DIR="${PIP_CACHE_DIR:-$HOME/.cache/pip}"
if [ -f "$HOME/.config/pip/pip.conf" ]; then export PIP_CONFIG_FILE="${PIP_CONFIG_FILE:-$HOME/.config/pip/pip.conf}"; fi
export HOME="$root/.ansible/sanity"
requirements=$(python3 -c 'import ansible_test; print(ansible_test.__path__[0])')/_internal/python_requirements.py
mkdir -p "$HOME/.ansible/test/cache"
for version in $(sed -n "s/^ *pip='\([0-9.]*\)',$/\1/p" "$requirements" | tr . _); do
    printf 'import ensurepip\n\nensurepip.bootstrap()\n' >"$HOME/.ansible/test/cache/get_pip_$version.py"
done

if [ $# -eq 0 ]; then set -- --test validate-modules; fi
ansible-test sanity "$@"
