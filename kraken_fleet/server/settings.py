"""What a server is started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kraken_fleet.listen import Limits


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the embedded server listens, what it keeps where, and how patient it is.

    Args:
        data_dir: directory of the database; made with mode 0700 when it is not there.
        host: address to bind. Loopback, because anyone who reaches `/backend` can announce an agent.
        port: TCP port; 0 takes a free one.
        log_port: UDP port of the log sink; 0 takes a free one.
        admin_password_file: file whose first line becomes admin's password on the very first start.
        bundle_dir: directory with `kkagent` and `kktool`, as `/install` serves them; None builds them on first use.
        version: what `/version` and the agents are told. Agents compare it with their own when they may update.
        agent_timeout: seconds of silence after which an agent counts as gone and its job is queued again.
            Five minutes, as the real server waits (kraken/server/consts.py, AGENT_TIMEOUT).
        pickup_timeout: seconds that a silent agent may leave an assigned job untouched before another gets it.
        watchdog_interval: seconds between two looks at time-outs.
        log_retention_days: age at which log lines are dropped.
        session_days: age at which a log-in ends.
        limits: how much is taken from whom.
        proxies: addresses or networks of proxies in front of the server. Only these may say who a peer is.
        minio_access_key, minio_secret_key: what agents are given for the object store of `general.minio_addr`.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 6363
    log_port: int = 0
    admin_password_file: Path | None = None
    bundle_dir: Path | None = None
    version: str = "1.7.36"
    agent_timeout: float = 300.0
    pickup_timeout: float = 30.0
    watchdog_interval: float = 1.0
    log_retention_days: int = 180
    session_days: int = 30
    limits: Limits = field(default_factory=Limits)
    proxies: tuple[str, ...] = ()
    minio_access_key: str = ""
    minio_secret_key: str = field(default="", repr=False)
