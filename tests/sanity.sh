#!/bin/sh
# Runs `ansible-test sanity` on the collection: all its tests, unless some are named.
#
#     tests/sanity.sh
#     tests/sanity.sh --test pylint --test validate-modules
#
# Each test runs but pslint, which reads PowerShell: the collection has none, and ansible-test passes it over where there
# is no `pwsh`. None needs Docker. The first run needs a package index for the tools of the tests; what ansible-test
# installs is kept in .ansible/sanity. `compile` and `import` run on each Python from 3.8 on that is found here.
#
# ansible-test gets a copy of what is here now, committed or not: tests/collection_copy.sh.
set -eu

. "$(dirname "$0")/collection_copy.sh"
copy_collection

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

# Programs that pyenv only hands on are there for some versions and fail: the real ones come first.
if command -v pyenv >/dev/null; then
    for version in $(pyenv versions --bare); do PATH="$PATH:$(pyenv prefix "$version")/bin"; done
    PATH=$(printf %s "$PATH" | tr : '\n' | grep -v '/shims$' | paste -s -d : -)
fi

# The controller's plugins import kraken_fleet and what it needs, as they do for users who have installed it. The tests
# that load them run in environments of their own, which get to know where those are.
ansible-test sanity --prime-venvs --test import --test ansible-doc >/dev/null
packages=$(python3 -c 'import rich; print(rich.__path__[0].rpartition("/")[0])')
for site in "$HOME"/.ansible/test/venv/sanity.import.plugin/*/*/lib/python*/site-packages \
    "$HOME"/.ansible/test/venv/sanity.ansible-doc/*/*/lib/python*/site-packages; do
    printf '%s\n' "$root" "$packages" >"$site/kraken_fleet.pth"
done

ansible-test sanity "$@"
