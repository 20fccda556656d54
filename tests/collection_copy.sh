# To be sourced: ansible-test wants a collection at ansible_collections/NAMESPACE/NAME in a git repository of its own.

# Copies what is here now of the collection, committed or not.
#   $1  the repository
#   $2  an empty directory that gets ansible_collections/
# The rest: what is copied besides what every test needs.
copy_collection() {
    collection="$2/ansible_collections/kraken_ci/fleet"
    mkdir -p "$collection"
    cd "$1"
    shift 2
    git ls-files -z --cached --others --exclude-standard -- \
        CHANGELOG.rst LICENSE LICENSES README.md changelogs galaxy.yml meta playbooks plugins roles "$@" |
        tar --create --null --files-from=- --ignore-failed-read | tar --extract --directory="$collection"
    cd "$collection"
    git init --quiet
    git add --all
    git -c user.name=test -c user.email=test@localhost -c commit.gpgsign=false commit --quiet --message "To be checked"
}
