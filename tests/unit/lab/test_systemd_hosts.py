"""Lab hosts with systemd, on an engine that only says that it has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from kraken_fleet.errors import LabError
from kraken_fleet.lab import ssh
from kraken_fleet.lab.host_image import Recipe
from kraken_fleet.lab.systemd_hosts import SystemdHosts


class Engine:
    """Hosts that are up at once."""

    def has_image(self, image: str) -> bool:
        return True

    def import_image(self, image: str, archive: Path) -> None:
        raise AssertionError("there is an image")

    def create_network(self, lab: Path) -> str:
        return "192.0.2.1"

    def start_hosts(self, lab: Path, image: str, names: Sequence[str], files: Mapping[str, str]) -> list[str]:
        return [f"192.0.2.{number}" for number, _name in enumerate(names, 2)]

    def output(self, lab: Path, name: str, *command: str) -> str | None:
        return "ssh-ed25519 AAAA root@host\n"

    def remove_all(self, lab: Path) -> None:
        """There is nothing."""


def test_many_hosts_get_more_time_to_boot_than_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    monkeypatch.setattr(ssh, "wait_for_banner", lambda _address, *, seconds: given.append(seconds))
    for number in (1, 32):
        names = [f"build-{one}" for one in range(number)]
        hosts = SystemdHosts(Engine(), Recipe()).create(tmp_path, names)
        assert [host.name for host in hosts] == names
    assert given == [65.0] + [220.0] * 32


def test_a_host_that_does_not_come_up_is_told_with_what_many_hosts_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "_greets", lambda _address: False)
    with pytest.raises(LabError, match=r"192\.0\.2\.2: sshd did not come up within 0 s\. .*max_user_instances"):
        ssh.wait_for_banner("192.0.2.2", seconds=0.0)
