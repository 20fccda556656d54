"""How links of the repository's pages are turned into links of the site."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from tests.script_module import load_script

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def conf() -> ModuleType:
    return load_script("docs/conf.py")


@pytest.mark.parametrize(
    ("page", "written", "expected"),
    [
        ("agent", "[x](trust.md#rules)", "[x](trust.md#rules)"),
        ("agent", "[x](../roles/kraken_agent/README.md)", "[x](reference/roles/kraken_agent.md)"),
        ("security", "[x](../SECURITY.md)", "[x](reference/reporting.md)"),
        ("reference/reporting", "[x](docs/security.md)", "[x](../security.md)"),
        ("reference/roles/kraken_agent", "[x](../../docs/hosts.md#proxies)", "[x](../../hosts.md#proxies)"),
        (
            "agent",
            "[x](../contrib/systemd)",
            "[x](https://github.com/kraken-ci/kraken-fleet/blob/main/contrib/systemd)",
        ),
        (
            "agent",
            "[x](https://github.com/kraken-ci/kraken-fleet/blob/main/docs/hosts.md#sudo)",
            "[x](hosts.md#sudo)",
        ),
    ],
)
def test_a_link_leads_to_the_page_on_the_site(conf: ModuleType, page: str, written: str, expected: str) -> None:
    source = [written]
    conf._links(None, page, source)
    assert source == [expected]
