"""Takes an instance down, says what runs, and removes its data when asked."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

from tests.real_server import clickhouse, kraken, log_proxy, object_store, postgres, processes, redis
from tests.real_server.plan import Instance

STORES = (log_proxy, object_store, clickhouse, redis, postgres)
NAMES = (postgres.NAME, redis.NAME, clickhouse.NAME, object_store.NAME, log_proxy.NAME, *kraken.NAMES)


def down(instance: Instance, *, purge: bool = False) -> bool:
    """Stop everything of the instance: the server first, then its stores side by side.

    Args:
        purge: remove its directory too.

    Returns:
        Whether anything ran.
    """
    stopped = [kraken.down(instance)]
    with ThreadPoolExecutor() as pool:
        stopped += pool.map(lambda service: service.down(instance), STORES)
    if purge:
        shutil.rmtree(instance.directory)
    return any(stopped)


def status(instance: Instance) -> dict[str, int | None]:
    """The pid of every process of the instance, None for those that do not run."""
    return {name: processes.running(instance.directory, name) for name in NAMES}
