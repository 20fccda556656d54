"""What a page of the console consists of, as assistive technology is told it, without what differs at each visit."""

from __future__ import annotations

import re

from playwright.sync_api import Page

# What a page offers, and what it calls it. Cells and texts are the fleet's own. Some of them depend on the clock, as
# links with a date or a number do.
_ROLES = "banner|button|checkbox|columnheader|combobox|heading|img|link|navigation|searchbox|table|textbox"
_KEPT = re.compile(rf'\s*- ((?:{_ROLES})(?: "[^"]*")?).*')
_NUMBER = re.compile(r"\d+(?:[.:]\d+)*")


def structure(page: Page) -> str:
    """Return the parts of a page in their order, one a line, each once; numbers are written as N."""
    lines = page.locator("body").aria_snapshot().splitlines()
    kept = [found[1] for line in lines if (found := _KEPT.fullmatch(line))]
    parts = [_NUMBER.sub("N", one) for one in kept if not (one.startswith("link") and _NUMBER.search(one))]
    return "".join(f"{part}\n" for part in dict.fromkeys(parts))
