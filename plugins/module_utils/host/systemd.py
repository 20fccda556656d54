"""An agent as a systemd service: its unit file and its state."""

from __future__ import annotations

import os
import time
from typing import Any, Dict, Iterator, List

from . import restart_due, selinux
from .changes import Change, HostError
from .commands import run
from .files import Attributes, absent, text_file
from .setting import REPORT_SECONDS, UPSTREAM
from .spec import AgentSpec

UNIT_DIRECTORY = "/etc/systemd/system"
_RUNNING = ("active", "reloading", "refreshing")
# In all other states, such as between two starts of one that ends again and again, there is something to stop.
_STOPPED = ("inactive", "failed")
_PROPERTIES = ("ActiveState", "SubState", "UnitFileState", "MainPID", "NeedDaemonReload")
# How long a service has to stay up to be believed. For one that says itself that it is up, systemctl has waited.
_SETTLE_SECONDS = 0.5
# How long systemd waits until it starts one again that has ended.
_RESTART_SECONDS = 5
# The same when it has ended because its one job is over.
_NEXT_JOB_SECONDS = 1
# An agent whose loop does not turn for this long is started again.
_WATCHDOG_SECONDS = 180

# Jobs are other people's builds. Not here is what would break compilers, debuggers, test suites, rootless containers,
# browsers or packages made by them: RestrictNamespaces, MemoryDenyWriteExecute, LockPersonality, PrivateDevices,
# PrivateNetwork, PrivateUsers, ProcSubset, UMask=0077, SystemCallArchitectures, and filters of system calls for
# debugging, mounting or setting priorities. docs/agent.md has the figure of `systemd-analyze security`.
_HARDENING = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ReadWritePaths={writable}
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
# These hold also for jobs that use sudo. All others make systemd set NoNewPrivileges for a service with a User, since
# it could not have filters of system calls without (systemd.exec(5)), and then sudo refuses to work.
_HARDENING_ALWAYS = """\
ProtectControlGroups=yes
KeyringMode=private
"""

# StartLimitIntervalSec: by default systemd gives a service up that ends five times within ten seconds. An agent is to
# come back whenever its server or its host is in order again.
# What jobs share in memory systemd keeps while another unit of the same account runs (RemoveIPC). /run can be written
# in spite of ProtectSystem with the other settings above, and so /run/lock by everybody (seen with systemd 252).
_ONE_JOB = """\
PrivateIPC=yes
TemporaryFileSystem=/dev/shm:mode=1777
ReadOnlyPaths=/run
"""

_UNIT = """\
# Written by kraken-fleet; changes here are overwritten by the next deploy.
[Unit]
Description=Kraken CI agent{title}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type={kind}
User={user}
Group={group}
# A job may have closed its agent's directory, which the agent opens again: with the minus that keeps it from no start.
WorkingDirectory=-{data}
EnvironmentFile={env_file}
ExecStart={command}
{reload}Restart=always
RestartSec={restart_seconds}
# A stop lets the job that runs come to its end; only the agent is told, it looks after its children.
KillMode=mixed
TimeoutStopSec={stop_seconds}
# A step for which memory does not suffice fails; systemd would otherwise stop the service with it.
OOMPolicy=continue
{hardening}{settings}
[Install]
WantedBy=multi-user.target
"""


def is_running() -> bool:
    """Tell whether systemd manages this host."""
    return os.path.isdir("/run/systemd/system")


def unit_path(unit: str) -> str:
    return os.path.join(UNIT_DIRECTORY, f"{unit}.service")


def unit_text(spec: AgentSpec) -> str:
    """Write the unit file of an agent."""
    settings = "".join(f"{name}={value}\n" for name, value in sorted(spec.unit_settings.items()))
    return _UNIT.format(
        title=f" {spec.name}" if spec.name else "",
        kind=_kind(spec),
        restart_seconds=_NEXT_JOB_SECONDS if spec.is_one_job else _RESTART_SECONDS,
        user=spec.user,
        group=spec.group,
        data=spec.data,
        env_file=spec.env_file,
        command=" ".join(spec.command),
        # Kraken's own agent would end.
        reload="" if spec.agent == UPSTREAM else "ExecReload=/bin/kill -HUP $MAINPID\n",
        stop_seconds=spec.drain_seconds + REPORT_SECONDS,
        hardening=_hardening(spec),
        settings=settings,
    )


def converge(spec: AgentSpec, *, restart: bool) -> Iterator[Change]:
    """Bring unit and service to their wanted state, enabled or not.

    Args:
        restart: whether something has changed that a running agent reads only at its start.
    """
    now = show(spec.unit)
    enabled = now["UnitFileState"] == "enabled"
    unit = list(
        text_file(
            unit_path(spec.unit),
            unit_text(spec),
            Attributes(0o644, "root", "root"),
            # `enable` and `disable` let systemd read its files again themselves (systemctl(1)); each time it runs all
            # of its generators, which takes longer than all other changes to a host but the start.
            then=reload if enabled == spec.enabled else None,
            restarts=True,
        )
    )
    yield from unit
    is_new = any(change.restarts for change in unit)
    if enabled != spec.enabled:
        verb = "enable" if spec.enabled else "disable"
        yield _state_change(spec, verb, "enabled" if enabled else "disabled", f"{verb}d")
    elif now["NeedDaemonReload"] == "yes" and not is_new:
        # A deploy has ended between the two, or somebody has changed a drop-in.
        path = unit_path(spec.unit)
        yield Change(f"let systemd read {path} again", reload, before="outdated\n", after="read\n", before_header=path)
    yield from _service(spec, now["ActiveState"], restart=restart or is_new)


def remove(unit: str, drain_seconds: int) -> Iterator[Change]:
    """Remove the service and its unit file."""
    now = show(unit)
    if now["ActiveState"] not in _STOPPED:
        yield Change(
            f"stop {unit}",
            lambda: _systemctl("stop", unit, timeout=drain_seconds + 60.0),
            before="started\n",
            after="stopped\n",
            before_header=unit,
        )
    if now["UnitFileState"] == "enabled":
        yield Change(
            f"disable {unit}",
            lambda: _systemctl("disable", unit),
            before="enabled\n",
            after="disabled\n",
            before_header=unit,
        )
    for change in absent(unit_path(unit)):
        yield change
        yield Change(f"forget {unit}", lambda: _forget(unit), before=f"{unit}\n", before_header="units systemd knows")


def retire(unit: str, drain_seconds: int) -> Iterator[Change]:
    """Stop a service and keep it from starting with the host; its unit file stays."""
    yield Change(f"stop {unit}", lambda: _systemctl("stop", unit, timeout=drain_seconds + 60.0))
    yield Change(f"disable {unit}", lambda: _systemctl("disable", unit))


def is_active(unit: str) -> bool:
    """Tell whether a service runs, or starts with the host."""
    now = show(unit)
    return now["ActiveState"] not in _STOPPED or now["UnitFileState"] == "enabled"


def show(unit: str) -> Dict[str, str]:
    """Return what systemd says of a unit; one that it does not know is `inactive`."""
    text = run(["systemctl", "show", f"--property={','.join(_PROPERTIES)}", f"{unit}.service"])
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {name: found.get(name, "") for name in _PROPERTIES}


def state(unit: str) -> Dict[str, Any]:
    """Describe the service for a module's result."""
    now = show(unit)
    running = now["ActiveState"] in _RUNNING
    return {
        "manager": "systemd",
        "state": "started" if running else "stopped",
        "enabled": now["UnitFileState"] == "enabled",
        "pid": int(now["MainPID"] or 0) or None,
    }


def reload() -> None:
    """Let systemd read its unit files again."""
    _systemctl("daemon-reload")


def enable_again(unit: str) -> None:
    """Point the links that enable a unit at the unit file that is used now."""
    _systemctl("reenable", unit)


def notifies(spec: AgentSpec) -> bool:
    """Tell whether systemd waits for the agent to say that it is up."""
    # A server may bring upstream's agent, which would never say that it is up.
    return spec.notifies and spec.update != "server"


def _service(spec: AgentSpec, state: str, *, restart: bool) -> Iterator[Change]:
    wanted, lives = spec.service_state == "started", state not in _STOPPED
    if lives and not wanted:
        yield _state_change(spec, "stop", "started", "stopped")
    elif wanted and lives and restart:
        yield _state_change(spec, "restart", "started", "started again")
    elif wanted and state not in _RUNNING:
        yield _state_change(spec, "start", "stopped", "started")


def _state_change(spec: AgentSpec, verb: str, before: str, after: str) -> Change:
    def act() -> None:
        try:
            # A stop takes TimeoutStopSec at most, drain_seconds and REPORT_SECONDS; a restart has to start it then.
            _systemctl(verb, spec.unit, timeout=spec.drain_seconds + 90.0)
        except HostError as error:
            raise HostError(f"{error}\n{_end_of_log(spec.unit)}".rstrip()) from error
        if verb in ("start", "restart"):
            if not notifies(spec):
                _see_it_up(spec)
            restart_due.done(spec.directory)

    return Change(f"{verb} {spec.unit}", act, before=f"{before}\n", after=f"{after}\n", before_header=spec.unit)


def _see_it_up(spec: AgentSpec) -> None:
    time.sleep(_SETTLE_SECONDS)
    now = show(spec.unit)
    # Kraken's own agent ends at the end of its update: it gives the new Python its arguments without the program's name
    # (kraken/agent/update.py, 1.7.36). systemd starts it again, then with the server's version.
    if spec.update == "server" and now["SubState"] == "auto-restart":
        time.sleep(_RESTART_SECONDS + _SETTLE_SECONDS)
        now = show(spec.unit)
    if now["ActiveState"] not in _RUNNING:
        state = f"{now['ActiveState']}, {now['SubState']}"
        raise HostError(f"{spec.unit} does not stay up ({state}). The end of its log:\n{_end_of_log(spec.unit)}")


def _end_of_log(unit: str) -> str:
    journal = run(["journalctl", "--no-pager", "--output=cat", "--lines=10", f"--unit={unit}.service"], check=False)
    return f"{journal}{selinux.advice()}"


def _forget(unit: str) -> None:
    reload()
    # systemd keeps a unit that has failed, also without its file, until it is told to forget that (systemctl(1)).
    run(["systemctl", "reset-failed", f"{unit}.service"], check=False)


def _systemctl(verb: str, *units: str, timeout: float = 60.0) -> None:
    run(["systemctl", verb, *(f"{unit}.service" for unit in units)], timeout=timeout)


def _kind(spec: AgentSpec) -> str:
    return f"notify\nWatchdogSec={_WATCHDOG_SECONDS}" if notifies(spec) else "simple"


def _hardening(spec: AgentSpec) -> str:
    if not spec.hardening:
        return ""
    lines: List[str] = []
    if not spec.sudo:
        # An agent that replaces its own binaries writes beside its data.
        writable = [spec.directory] if spec.update == "server" else []
        if not (writable and spec.data.startswith(spec.directory + "/")):
            writable.append(spec.data)
        lines.append(_HARDENING.format(writable=" ".join(writable)))
        # ProtectHome hides all of /home and /root, also where ReadWritePaths names a directory there.
        if not any(path.startswith(("/home/", "/root/")) for path in (spec.directory, spec.data)):
            lines.append("ProtectHome=yes\n")
    lines.append(_HARDENING_ALWAYS)
    if spec.is_one_job:
        lines.append(_ONE_JOB)
    return "".join(lines)
