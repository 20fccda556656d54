"""What Ansible's own programs say of an inventory that they cannot read, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import load
from kraken_fleet.inventory.command import failure

NOT_YAML = "kraken_agents: [\n"
NOT_INI = "a b\n"
SCRIPT = "#!/bin/sh\necho 'no cloud today' >&2\nexit 3\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("hosts.yml", NOT_YAML, r"^\S+/hosts.yml: YAML parsing failed: .*\(\S+/hosts.yml:2:1\)$"),
        ("hosts", NOT_INI, r"^\S+/hosts: Expected key=value host variable assignment, got: b$"),
        ("hosts.ini", NOT_INI, r"^\S+/hosts.ini: Expected key=value host variable assignment, got: b$"),
        ("hosts.sh", SCRIPT, r"^\S+/hosts.sh: Inventory script returned non-zero exit code 3: no cloud today$"),
    ],
)
def test_an_inventory_that_cannot_be_read_is_one_line(name: str, text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    path.chmod(0o755 if name.endswith(".sh") else 0o644)
    with pytest.raises(InventoryError, match=said):
        load([path])


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("[WARNING]: Something is old\n[ERROR]: It is broken.\n\nIt is broken.\n", "hosts: It is broken"),
        ("ERROR! It is broken\n", "hosts: It is broken"),
        ("It ended\nsuddenly\n", "hosts: It ended suddenly"),
        ("", "hosts: Ansible failed and said nothing"),
    ],
)
def test_an_error_counts_more_than_what_stands_before_it(stderr: str, said: str) -> None:
    assert str(failure(stderr, "hosts")) == said
