"""How Sphinx makes the site out of docs/: `make docs`.

The pages are Markdown that reads well on GitHub too: their links are those of the repository until they are read here.
"""

import re
from typing import Any

from docutils import nodes

from kraken_fleet import __version__

project = "kraken-fleet"
author = "kraken-fleet contributors"
version = release = __version__
copyright = author  # noqa: A001 (the name that Sphinx wants)

extensions = ["myst_parser", "sphinx_antsibull_ext", "sphinx_copybutton"]
root_doc = "index"
exclude_patterns = ["screenshots"]
myst_heading_anchors = 4
smartquotes = False  # it takes the two dashes of an option for one long one
# Command lines are copied without their prompt and without what they print.
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_line_continuation_character = "\\"

html_theme = "furo"
html_title = f"kraken-fleet {version}"
html_theme_options = {"source_repository": "https://github.com/kraken-ci/kraken-fleet/", "source_branch": "main"}

_REPOSITORY = "https://github.com/kraken-ci/kraken-fleet/blob/main/"
# Pages outside docs/ that are on the site all the same: docs/reference.py copies them under these names.
COPIED_PAGES = {
    "CHANGELOG.rst": "changelog.rst",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
}
_ANSIBLE = "https://docs.ansible.com/projects/ansible/latest/"
_OF_ANSIBLE = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "callback_plugins": "plugins/callback.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
_LINK = re.compile(r"\]\((?:(?:\.\./)+|(?=docs/))([^)#]+)(#[^)]*)?\)")
_FROM_THE_ROOT = re.compile(rf"\]\({re.escape(_REPOSITORY)}(docs/[^)#]+\.md)(#[^)]*)?\)")


def _as_on_the_site(docname: str, target: str, anchor: str) -> str:
    up = "../" * docname.count("/")
    role = re.fullmatch(r"roles/(\w+)/README\.md", target)
    if role:
        return f"]({up}reference/roles/{role[1]}.md{anchor})"
    if target in COPIED_PAGES:
        return f"]({up}reference/{COPIED_PAGES[target]}{anchor})"
    if target.startswith("docs/"):
        return f"]({up}{target.removeprefix('docs/')}{anchor})"
    return f"]({_REPOSITORY}{target}{anchor})"


def _links(_app: Any, docname: str, source: list[str]) -> None:
    """Let links to files of the repository lead to their pages on the site, and others to the repository."""
    for pattern in (_LINK, _FROM_THE_ROOT):
        source[0] = pattern.sub(lambda link: _as_on_the_site(docname, link[1], link[2] or ""), source[0])


def _of_ansible(_app: Any, _environment: Any, node: Any, shown: Any) -> nodes.reference | None:
    """Lead to Ansible's documentation, whose labels antsibull-docs uses; intersphinx would ask the network for them."""
    page = _OF_ANSIBLE.get(node.get("reftarget"))
    return nodes.reference("", "", shown, refuri=f"{_ANSIBLE}{page}", internal=False) if page else None


def setup(app: Any) -> None:
    app.connect("source-read", _links)
    app.connect("missing-reference", _of_ansible)
