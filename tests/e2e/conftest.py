"""One embedded server for each file of tests, and a fleet of its own for each test."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.embedded import Embedded
from tests.e2e.loopback_fleet import Fleet
from tests.e2e.real_lab import LabOptions, RealLab, real_lab
from tests.e2e.systemd_host import SystemdHost

# No two tests share an address, also when they run in several processes: to a server it is who an agent is.
_NETWORK = secrets.randbelow(250) + 1 + 256 * (os.getpid() % 200 + 20)
_numbers = itertools.count(11)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded.started(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def new_fleet(tmp_path: Path, embedded: Embedded) -> Iterator[Callable[..., Fleet]]:
    """Makes a fleet of the hosts that are named."""
    made = []

    def make(*names: str) -> Fleet:
        addresses = {name: f"127.{_NETWORK // 256}.{_NETWORK % 256}.{next(_numbers)}" for name in names}
        made.append(Fleet.of(tmp_path, embedded, addresses))
        return made[-1]

    yield make
    for fleet in made:
        fleet.stop()


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLab]:
    """The lab that the module describes by its constant LAB; nothing is left of it afterwards."""
    wanted: LabOptions = request.module.LAB
    folder = tmp_path_factory.mktemp(wanted.folder)
    with real_lab(folder, wanted.name, wanted.hosts, wanted.driver, wanted.server) as made:
        yield made


@pytest.fixture(scope="session")
def systemd_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdHost]:
    """A bare lab host beside an embedded server; each file of tests deploys what it needs."""
    with real_lab(tmp_path_factory.mktemp("systemd"), "systemd", 1) as lab:
        yield SystemdHost(lab)
