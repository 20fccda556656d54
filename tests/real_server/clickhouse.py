"""ClickHouse: the store of log lines, on the private address.

Debian's 18.16 has no DateTime64, so the column `time` holds whole seconds and `seq` holds what orders the lines within
one: the server sorts by both, as it does on a new ClickHouse.
"""

from __future__ import annotations

import urllib.parse
import urllib.request
from pathlib import Path

from tests.real_server import processes
from tests.real_server.plan import Instance

NAME = "clickhouse"

# The columns that the server reads (its execution.py and chops.py); in ClickHouse a missing value is 0, '' or -1.
TABLE = """
CREATE TABLE IF NOT EXISTS logs (
    time DateTime, seq UInt64, message String, service String, host String, path String, lineno UInt32, level String,
    branch UInt64, flow_kind UInt8, flow UInt64, run UInt64, job UInt64, tool String, step Int8, agent UInt64
) ENGINE = MergeTree PARTITION BY toMonday(time) ORDER BY (time, seq)
"""

CONFIG = """<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>{private}</listen_host>
  <http_port>8123</http_port>
  <tcp_port>9000</tcp_port>
  <path>{folder}/data/</path>
  <tmp_path>{folder}/tmp/</tmp_path>
  <users_config>{folder}/users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <mark_cache_size>268435456</mark_cache_size>
  <timezone>UTC</timezone>
</yandex>
"""

USERS = """<yandex>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users><default>
    <password></password>
    <networks><ip>127.0.0.0/8</ip></networks>
    <profile>default</profile><quota>default</quota>
  </default></users>
</yandex>
"""


def up(instance: Instance) -> None:
    """Write its configuration, start it, and create the table of log lines."""
    folder = instance.directory / NAME
    folder.mkdir(exist_ok=True, mode=0o700)
    config = _write_config(instance, folder)
    processes.start(instance.directory, NAME, ["/usr/sbin/clickhouse-server", f"--config-file={config}"], cwd=folder)
    processes.wait_ready(instance.directory, NAME, lambda: _answers(instance))
    query(instance, TABLE)


def down(instance: Instance) -> bool:
    """Stop it."""
    return processes.stop(instance.directory, NAME)


def query(instance: Instance, statement: str, data: bytes = b"") -> str:
    """Run a statement over HTTP.

    Args:
        data: rows for an INSERT.

    Raises:
        OSError: ClickHouse does not answer or refuses.
    """
    return send(instance.clickhouse_url, statement, data)


def send(url: str, statement: str, data: bytes = b"") -> str:
    """The same for callers that have only the URL."""
    address = f"{url}/?{urllib.parse.urlencode({'query': statement})}"
    with urllib.request.urlopen(urllib.request.Request(address, data=data), timeout=30) as answer:
        return str(answer.read().decode())


def _write_config(instance: Instance, folder: Path) -> Path:
    config = folder / "config.xml"
    config.write_text(CONFIG.format(private=instance.private, folder=folder))
    (folder / "users.xml").write_text(USERS)
    return config


def _answers(instance: Instance) -> bool:
    try:
        return send(instance.clickhouse_url, "SELECT 1") == "1\n"
    except OSError:
        return False
