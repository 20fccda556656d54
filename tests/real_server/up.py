"""Brings an instance up: install, then the stores side by side, then the server that needs them."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

from tests.real_server import clickhouse, kraken, log_proxy, object_store, postgres, redis
from tests.real_server.install import Say, install
from tests.real_server.plan import Instance

STORES = (postgres, redis, clickhouse, object_store, log_proxy)


def up(instance: Instance, say: Say, *, agent_files: Path | None = None) -> None:
    """Bring it up from whatever state it is in; what runs already is left alone.

    Args:
        say: is told each step.
        agent_files: a directory with `kkagent` and `kktool`, which the server then hands out under /install.

    Raises:
        RealServerError: something did not install or start.
    """
    install(instance, say)
    instance.save()
    if agent_files is not None:
        _serve_agent(instance, agent_files)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda service: _start(instance, service, say), STORES))  # a list, so that errors come out
    _start(instance, kraken, say)


def _start(instance: Instance, service: ModuleType, say: Say) -> None:
    started = time.monotonic()
    service.up(instance)
    say(f"{service.__name__.rpartition('.')[2]} is up ({time.monotonic() - started:.1f} s)")


def _serve_agent(instance: Instance, source: Path) -> None:
    target = instance.directory / "agent"
    target.mkdir(exist_ok=True)
    for name in ("kkagent", "kktool"):
        shutil.copy2(source / name, target / name)
