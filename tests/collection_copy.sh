# To be sourced: ansible-test wants a collection at ansible_collections/NAMESPACE/NAME in a git repository of its own.
# Sets `root`, the repository, and puts the programs of `make setup` first.

root=$(cd "$(dirname "$0")/.." && pwd)
PATH="$root/.venv/bin:$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# Copies what is here now of the collection, committed or not, and goes there. It is removed at the end.
#   $@  what is copied besides what every test needs
copy_collection() {
    collection="$work/ansible_collections/kraken_ci/fleet"
    mkdir -p "$collection"
    cd "$root"
    git ls-files -z --cached --others --exclude-standard -- \
        CHANGELOG.rst LICENSE LICENSES README.md changelogs galaxy.yml meta playbooks plugins roles "$@" |
        tar --create --null --files-from=- --ignore-failed-read | tar --extract --directory="$collection"
    cd "$collection"
    git init --quiet
    git add --all
    git -c user.name=test -c user.email=test@localhost -c commit.gpgsign=false commit --quiet --message "To be checked"
}
