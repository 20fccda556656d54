"""Words of plans and of agents as they stand on pages."""

from __future__ import annotations

import pytest

from kraken_fleet.web.render import with_code


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Enable it with `agents enable <name>`.", "Enable it with <code>agents enable &lt;name&gt;</code>."),
        ("`a` & `b`", "<code>a</code> &amp; <code>b</code>"),
        ("a ` alone, and <b>", "a ` alone, and &lt;b&gt;"),
        ("`<script>`", "<code>&lt;script&gt;</code>"),
        ("", ""),
    ],
)
def test_words_between_backticks_are_code_and_all_of_it_is_escaped(text: str, shown: str) -> None:
    assert with_code(text) == shown
