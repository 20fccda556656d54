"""The unit file that `kkagent install` writes: the same as the provisioner's, with which it can share no code."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kraken_agent.config import Config

_UNIT_TEXT = """\
# Written by kkagent install.
[Unit]
Description=Kraken CI agent
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
User={user}
Group={user}
# A job may have closed its agent's directory, which the agent opens again: with the minus that keeps it from no start.
WorkingDirectory=-{data_dir}
EnvironmentFile={env_file}
ExecStart={python} {root}/current/kkagent run
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec={restart_seconds}
WatchdogSec=180
KillMode=mixed
TimeoutStopSec={stop_seconds}
# A step that runs out of memory fails; the agent and the service live on.
OOMPolicy=continue
{hardening}
[Install]
WantedBy=multi-user.target
"""

# The same as in the unit that the provisioner writes (plugins/module_utils/host/systemd.py says why these).
_HARDENING = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ReadWritePaths={data_dir}
PrivateTmp=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallErrorNumber=EPERM
SystemCallFilter=~@clock @module @obsolete @raw-io @reboot @swap
"""
_HARDENING_ALWAYS = """\
ProtectControlGroups=yes
KeyringMode=private
"""
_ONE_JOB = """\
PrivateIPC=yes
TemporaryFileSystem=/dev/shm:mode=1777
ReadOnlyPaths=/run
"""


def unit_text(config: Config, root: str, user: str, *, sudo: bool, one_job: bool = False) -> str:
    """Return the unit file. With sudo it confines less, since sudo would not work otherwise.

    Args:
        root: the agent's directory.
        user: the account, whose group has its name.
        one_job: whether systemd starts a fresh agent for each job.
    """
    hardening = _HARDENING_ALWAYS
    if not sudo:
        hardening = _HARDENING.format(data_dir=config.data_dir) + hardening
        if not config.data_dir.startswith(("/home/", "/root/")):
            hardening += "ProtectHome=yes\n"
    if one_job:
        hardening += _ONE_JOB
    return _UNIT_TEXT.format(
        user=user,
        data_dir=config.data_dir,
        env_file=os.path.join(root, "kraken.env"),
        python=sys.executable,
        root=root,
        restart_seconds=1 if one_job else 5,
        stop_seconds=int(config.drain_seconds) + 30,
        hardening=hardening,
    )
