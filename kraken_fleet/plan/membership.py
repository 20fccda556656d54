"""Which groups to create, which to rename, and which agent comes into or out of which.

Groups are compared by id: an agent goes on listing a group that was deleted, and a new group of that name is another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from kraken_fleet.model import ALL_GROUP, Agent, AgentsGroup, DesiredAgent, GroupRef, ObservedFleet, is_own_group
from kraken_fleet.plan.actions import CreateGroup, RenameGroup, SetGroups
from kraken_fleet.plan.policy import GroupsMode


@dataclass(frozen=True, slots=True)
class LivingGroups:
    """The groups that are alive; of several with one name, the one that keeps it."""

    ids: Mapping[str, int]
    alive: frozenset[int]

    @classmethod
    def of(cls, groups: Iterable[AgentsGroup]) -> LivingGroups:
        ordered = sorted(groups, key=_importance, reverse=True)
        return cls({group.name: group.id for group in ordered}, frozenset(group.id for group in ordered))

    def with_created(self, created: Mapping[str, int]) -> LivingGroups:
        """Return the same after groups were created: name to id."""
        return LivingGroups({**self.ids, **created}, self.alive | set(created.values()))


def healing(observed: ObservedFleet, wanted: Collection[str]) -> tuple[RenameGroup, ...]:
    """Plan to rename groups whose name is used twice.

    Deleted groups are renamed always, living ones when the inventory uses the name, or it is `all`.

    A run that names such a group fails: the server looks among deleted groups too.
    """
    living = LivingGroups.of(observed.groups)
    taken = {group.name for group in (*observed.groups, *observed.deleted_groups)}
    renames = []
    for group in observed.deleted_groups:
        if group.name in living.ids or group.name in wanted:
            new = group.another_name(taken)
            taken.add(new)
            reason = "a deleted group still holds the name, so runs that name it would fail"
            renames.append(RenameGroup(group_id=group.id, name=group.name, new_name=new, deleted=True, reason=reason))
    for group in observed.groups:
        # A second `all` keeps the server from authorizing anybody, so that one is nobody's choice.
        if (group.name in wanted or group.name == ALL_GROUP) and living.ids[group.name] != group.id:
            new = group.another_name(taken, "duplicate")
            taken.add(new)
            reason = "two groups have the name, so runs that name it fail"
            renames.append(RenameGroup(group_id=group.id, name=group.name, new_name=new, reason=reason))
    return tuple(renames)


def names_used_twice(observed: ObservedFleet) -> tuple[str, ...]:
    """Return names that several groups have, deleted ones counted, when at least one of them is alive."""
    alive = Counter(group.name for group in observed.groups)
    dead = {group.name for group in observed.deleted_groups}
    return tuple(sorted(name for name, count in alive.items() if count > 1 or name in dead))


def missing_groups(
    living: LivingGroups, wanted: Iterable[str], declared: Collection[str] = ()
) -> tuple[CreateGroup, ...]:
    """Return the groups that do not exist yet; never `all`.

    Args:
        declared: those that the inventory asks for by themselves.
    """
    missing = sorted(set(wanted) - living.ids.keys() - {ALL_GROUP})
    return tuple(
        CreateGroup(
            name=name,
            reason="the inventory declares it" if name in declared else "the inventory puts agents into it",
        )
        for name in missing
    )


def groups_change(
    agent: Agent, desired: DesiredAgent, living: LivingGroups, mode: GroupsMode, extra: Iterable[str] = ()
) -> SetGroups | None:
    """Return what to do about one agent's groups, None when they are as they should be.

    Args:
        agent: as the server has it.
        desired: as the inventory wants it.
        living: the server's groups.
        mode: for an agent that does not say itself.
        extra: more groups, given by a trust policy.
    """
    wanted = (desired.groups | set(extra)) - {ALL_GROUP}
    exact = (desired.groups_mode or mode) == GroupsMode.EXACT
    here = [ref for ref in agent.groups if ref.id in living.alive or ref.name == ALL_GROUP]
    added = sorted(name for name in wanted if living.ids.get(name) not in {ref.id for ref in here})
    removed = sorted(ref.name for ref in here if exact and not _asked_for(ref, wanted, living))
    if not added and not removed:
        return None
    # PUT replaces the whole set of groups, so what is to stay has to be named; a deleted group is left out and so
    # forgotten.
    kept = {ref.id for ref in here if not exact or _asked_for(ref, wanted, living)}
    if ALL_GROUP in living.ids:
        kept.add(living.ids[ALL_GROUP])
    return SetGroups(
        agent_id=agent.id,
        address=agent.address,
        host=desired.label,
        kept=tuple(sorted(kept)),
        added=tuple(added),
        removed=tuple(removed),
        reasons=tuple((name, why) for name, why in desired.reasons if name in added),
    )


def _asked_for(ref: GroupRef, wanted: Collection[str], living: LivingGroups) -> bool:
    # Groups of upgrades and proofs say who is working with the agent now; an exact inventory must not end that.
    if ref.name == ALL_GROUP or is_own_group(ref.name):
        return True
    return ref.name in wanted and living.ids.get(ref.name) == ref.id


def _importance(group: AgentsGroup) -> tuple[int, int]:
    # The last one written into a dict wins, and the order is reversed: fewest agents first, then the newest. The
    # server's own `all` is its oldest group, however many agents another one of that name has.
    return (0 if group.name == ALL_GROUP else -group.agents_count, group.id)
