"""What changes about how Kraken makes the agents of groups in a cloud."""

from __future__ import annotations

from collections.abc import Iterator

from kraken_fleet.model import Deployment, DesiredFleet, ObservedFleet
from kraken_fleet.plan.actions import SetDeployment
from kraken_fleet.plan.membership import LivingGroups


def deployment_changes(desired: DesiredFleet, observed: ObservedFleet) -> Iterator[SetDeployment]:
    """Return one change for each group whose deployment is not as the inventory wants it.

    Only what the inventory names is compared: the server keeps its own values for all other settings.
    """
    ids = LivingGroups.of(observed.groups).ids
    living = {group.id: group for group in observed.groups}
    for group in desired.declared_groups:
        now = living[ids[group.name]].deployment if group.name in ids else None
        if group.deployment and (change := _change(group.name, group.deployment, now)):
            yield change


def _change(name: str, wanted: Deployment, now: Deployment | None) -> SetDeployment | None:
    same_method = now is not None and now.method == wanted.method
    earlier = dict(now.settings) if now and same_method else {}
    # Python takes True for 1, and JSON tells the two apart.
    differing = {
        setting: value
        for setting, value in wanted.settings
        if setting not in earlier or (type(earlier[setting]), earlier[setting]) != (type(value), value)
    }
    if not differing and (same_method or (now is None and not wanted.by_kraken)):
        return None
    changed = Deployment(wanted.method, tuple(sorted(differing.items(), key=lambda item: item[0])))
    plain = now.plain() if now and same_method else {}
    return SetDeployment(
        name=name,
        method=wanted.method,
        settings=tuple(changed.plain().items()),
        secrets=tuple(changed.secrets()),
        before_method=now.method if now else "",
        before=tuple((setting, plain[setting]) for setting in changed.plain() if setting in plain),
        reason="the inventory declares the group so",
    )
