"""Agents on their host, from nothing to running or back to nothing, as changes in their order."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from . import (
    binaries,
    env_file,
    install_script,
    nonce,
    opening,
    others,
    process,
    restart_due,
    selinux,
    systemd,
    upstream,
    users,
)
from .changes import Change, HostError
from .files import Attributes, absent, directory, read_text, text_file
from .installed import has, installed, is_own
from .release import Release
from .spec import CA_NAME, AgentSpec

_NONE: Mapping[str, str] = MappingProxyType({})


def present(
    specs: Sequence[AgentSpec],
    release: Optional[Release],
    *,
    root: bool,
    releases: Mapping[str, str] = _NONE,
    beside: Optional[Sequence[others.Place]] = None,
) -> List[Change]:
    """Plan what has to change for these agents to be on this host.

    Args:
        specs: one agent, or several with a directory each.
        release: the binaries; None leaves those that are there.
        root: whether users, owners and sudoers can be changed.
        releases: by the agents' names, releases on the host that are to run instead.
        beside: what `agents_beside` has found; it is asked for when None.

    Raises:
        HostError: the host cannot be brought there.
    """
    specs = [_running(spec, releases.get(spec.name, "")) for spec in specs]
    if release:
        release = binaries.checked(release, [spec.directory for spec in specs])
    found = agents_beside(specs) if beside is None else beside
    stopped = list(_others_stopped(specs, found))
    changes: List[Change] = list(stopped)
    for spec in specs if root else ():
        _refuse_open_parent(spec)
    for spec in _one_for_each_user(specs) if root else ():
        changes += _account(spec)
    regrouped = any(change.restarts for change in changes)
    changes += selinux.converge(_labelled(specs), [spec.data for spec in specs]) if root else ()
    restarted: List[str] = []
    for spec in specs:
        back_to = releases.get(spec.name, "")
        wanted = _brought(spec, release, back_to)
        if wanted and not stopped and _is_tried_by_its_start(spec):
            wanted = wanted._replace(self_checking=False)
        files = list(_files(spec, wanted, back_to, root=root))
        restart = regrouped or restart_due.is_due(spec.directory) or any(change.restarts for change in files)
        manager = systemd if spec.manager == "systemd" else process
        service = list(manager.converge(spec, restart=restart))
        changes += [*files, *service]
        if spec.service_state == "started" and (restart or any(change.restarts for change in service)):
            restarted.append(spec.directory)
        # After everything else: nothing of it is in use then.
        changes += binaries.surplus(spec.directory, wanted.name, spec.keep_versions) if wanted else ()
        changes += upstream.needless(spec)
        changes += install_script.leavings(spec) if root else ()
    changes += _sudo_of_former_accounts(specs, found) if root else ()
    return restart_due.noted(changes, restarted)


def agents_beside(specs: Sequence[AgentSpec]) -> List[others.Place]:
    """Find other agents of kraken-fleet that run on this host; asking an engine for its containers takes its time."""
    return others.on_host([others.of_spec(spec) for spec in specs])


def other_agents(specs: Sequence[AgentSpec], beside: Sequence[others.Place]) -> List[str]:
    """Describe those of the other agents that keep running when these are present."""
    return others.warnings(beside, [others.of_spec(spec) for spec in specs])


def _others_stopped(specs: Sequence[AgentSpec], beside: Sequence[others.Place]) -> Iterator[Change]:
    wanted = [others.of_spec(spec) for spec in specs]
    yield from others.stopped(beside, wanted, max(spec.drain_seconds for spec in specs))


def by_script(specs: Sequence[AgentSpec]) -> List[Change]:
    """Plan the run of the server's own script, where it is needed; `present` looks at the result.

    The account is made before, so that it is like any other agent's and not like the script would have it.

    Raises:
        HostError: the script cannot install these agents, or not on this host.
    """
    changes: List[Change] = []
    for spec in specs:
        if spec.script:
            install_script.check(spec)
            script = list(install_script.once(spec))
            changes += [*_account(spec), *script] if script else ()
    return changes


def removed(specs: Sequence[AgentSpec], *, root: bool, keep_data: bool, keep_user: bool) -> List[Change]:
    """Plan what has to change for these agents to be removed.

    Args:
        keep_data: leave the directories `data`.
        keep_user: leave the account.
    """
    changes: List[Change] = []
    for spec in specs:
        by_hand = list(install_script.leavings(spec)) if root else []
        if spec.manager == "systemd" and (by_hand or others.is_ours(spec.unit, spec.directory)):
            changes += systemd.remove(spec.unit, spec.drain_seconds)
        changes += process.remove(spec.directory, spec.drain_seconds)
        changes += _no_files(spec, keep_data=keep_data)
        changes += by_hand
    for spec in _one_for_each_user(specs) if root else ():
        if not _others_use(spec.user, specs):
            changes += users.sudoers(spec.user, wanted=False)
            changes += () if keep_user else users.no_account(spec.user, _homes(specs))
    return changes


def state(spec: AgentSpec) -> Dict[str, Any]:
    """Describe the agent for a module's result."""
    service = systemd.state(spec.unit) if spec.manager == "systemd" else process.state(spec.directory)
    return {
        "name": spec.name,
        "dir": spec.directory,
        "unit": spec.unit if spec.manager == "systemd" else "",
        "address": spec.address,
        "release": upstream.updated_to(spec) or installed(spec.directory) or "",
        "service": service,
        "nonce_sha256": nonce.digest(spec),
    }


def _one_for_each_user(specs: Sequence[AgentSpec]) -> List[AgentSpec]:
    # Reversed, so that of several agents with one account the first one stays: its data directory becomes the home.
    return list({spec.user: spec for spec in reversed(specs)}.values())


def _labelled(specs: Sequence[AgentSpec]) -> List[str]:
    return [path for spec in specs for path in (spec.directory, systemd.unit_path(spec.unit))]


def _account(spec: AgentSpec) -> Iterator[Change]:
    if spec.user != "root":
        yield from users.account(spec.user, spec.data, spec.extra_groups)
        yield from users.sudoers(spec.user, spec.sudo)


def _sudo_of_former_accounts(specs: Sequence[AgentSpec], beside: Sequence[others.Place]) -> Iterator[Change]:
    """Take sudo from accounts that no agent of this host runs as any more."""
    processes = {process.account(place.directory) for place in beside if place.kind == "process"} - {None}
    for user in sorted(users.with_sudo() - {spec.user for spec in specs}):
        if users.number(user) not in processes and not _others_use(user, specs):
            yield from users.sudoers(user, wanted=False)


def _running(spec: AgentSpec, name: str) -> AgentSpec:
    """Return the agent with a release that is on the host, which decides whether it notifies systemd."""
    return spec._replace(notifies=is_own(spec.directory, name)) if name else spec


def _brought(spec: AgentSpec, release: Optional[Release], back_to: str) -> Optional[Release]:
    """Return the release that a deploy brings; None where the host has what is to run, or the server brings it."""
    is_servers = spec.update == "server" and has(spec.directory, spec.agent)
    return None if back_to or is_servers else release


def _files(spec: AgentSpec, release: Optional[Release], back_to: str, *, root: bool) -> Iterator[Change]:
    agents_own = Attributes(0o700, spec.user, spec.group) if root else Attributes(0o700)
    top, inside = _keepers(spec, agents_own)
    yield from directory(spec.directory, top)
    for name in opening.left_behind(spec.directory):
        yield from absent(os.path.join(spec.directory, name))
    yield from directory(os.path.join(spec.directory, "versions"), inside)
    yield from directory(spec.data, agents_own, deep=True)
    if back_to:
        yield from binaries.go_back(spec.directory, back_to, inside)
    elif release:
        yield from binaries.converge(spec.directory, release, inside, spec.python, spec.user if root else "")
    yield from binaries.owners(spec.directory, inside)
    yield from nonce.converge(spec, agents_own)
    yield from upstream.needs(spec, inside)
    # The update of Kraken's own agent gives all that is there to its account, which has sudo then.
    holder = spec.user if upstream.updates_itself(spec) else "root"
    secret = Attributes(0o640, holder, spec.group) if root else Attributes(0o640)
    public = (holder, spec.group) if upstream.updates_itself(spec) else ("root", "root")
    yield from _ca_bundle(spec, Attributes(0o644, *public) if root else Attributes(0o644))
    text = env_file.render(spec.environment)
    yield from text_file(spec.env_file, text, secret, mask=env_file.mask, restarts=True)


def _is_tried_by_its_start(spec: AgentSpec) -> bool:
    """Tell whether a release need not check itself first.

    That is to save the agent that is here, and takes longer than all else on a fresh host. Where there is none yet,
    systemd waits for the first start and shows why it failed.
    """
    is_started = spec.manager == "systemd" and spec.service_state == "started" and systemd.notifies(spec)
    return is_started and opening.status(spec.directory) is None


def _keepers(spec: AgentSpec, agents_own: Attributes) -> Tuple[Attributes, Attributes]:
    """Return the owners of the agent's directory and of `versions`.

    The agent may change what runs it only when allowed to.

    One that replaces its own binaries makes the link `current` anew. The sticky bit lets it do that, and keeps what is
    root's in the same directory as it is: systemd reads kraken.env as root, wherever a link of that name would point.
    """
    if agents_own.owner is None:
        return Attributes(0o755), Attributes(0o755)
    if spec.update == "server":
        return Attributes(0o1775, "root", spec.group), agents_own._replace(mode=0o755)
    return Attributes(0o755, "root", "root"), Attributes(0o755, "root", "root")


def _refuse_open_parent(spec: AgentSpec) -> None:
    """Refuse a place that the agent's account could put something else into at any time.

    Raises:
        HostError: a directory above the agent's is the account's own.
    """
    uid, path = users.number(spec.user), os.path.dirname(spec.directory)
    while uid and path != "/":
        found = opening.status(path)
        if found is not None and found.st_uid == uid:
            raise HostError(
                f"kraken_agent_dir {spec.directory} is in {path}, which belongs to the account {spec.user} that the "
                "agent runs as; root would work where that account can change everything. Choose another place, "
                "such as /opt/kraken"
            )
        path = os.path.dirname(path)


def _ca_bundle(spec: AgentSpec, owner: Attributes) -> Iterator[Change]:
    if spec.ca_bundle:
        yield from text_file(spec.ca_file, env_file.HEADER + spec.ca_bundle, owner, restarts=True)
    elif (read_text(spec.ca_file) or "").startswith(env_file.HEADER):
        yield from absent(spec.ca_file)


def _no_files(spec: AgentSpec, *, keep_data: bool) -> Iterator[Change]:
    """Remove only what a deploy has put there, and the directory when nothing else is in it."""
    names = ["versions", "current", "kraken.env", "nonce", CA_NAME, restart_due.NAME]
    names += ["agent.pid", "agent.log", "agent.log.1"]
    if not keep_data:
        names.append("data")
    names += [*upstream.traces(spec.directory), *install_script.skeleton(spec.directory)]
    names += opening.left_behind(spec.directory)
    for name in names:
        yield from absent(os.path.join(spec.directory, name))
    if not keep_data and spec.data != os.path.join(spec.directory, "data"):
        yield from absent(spec.data)
    if opening.is_directory(spec.directory) and not set(opening.names(spec.directory)).difference(names):
        yield Change(
            f"remove {spec.directory}",
            lambda: os.rmdir(spec.directory),
            before=f"{spec.directory}\n",
            before_header=spec.directory,
        )


def _homes(specs: Sequence[AgentSpec]) -> List[str]:
    """List the homes that accounts made for agents have: made by a deploy, or by the server's script."""
    return [home for spec in specs for home in (spec.data, spec.directory)]


def _others_use(user: str, going: Sequence[AgentSpec]) -> bool:
    """Tell whether another service of this host, one that stays, runs as the same user."""
    leaving = {f"{spec.unit}.service" for spec in going}
    staying = [name for name in opening.names(systemd.UNIT_DIRECTORY) if name not in leaving]
    texts = (read_text(os.path.join(systemd.UNIT_DIRECTORY, name)) for name in staying if name.endswith(".service"))
    return any(f"\nUser={user}\n" in (text or "") for text in texts)
