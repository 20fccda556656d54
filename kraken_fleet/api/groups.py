"""Agents groups, with the changes refused or made safe that a Kraken server accepts and then breaks on."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from kraken_fleet.api import decode
from kraken_fleet.api.agents import AgentsCalls
from kraken_fleet.api.deleted_groups import DeletedGroups, KnownGroups
from kraken_fleet.api.paging import read_all
from kraken_fleet.api.session import Session
from kraken_fleet.errors import (
    FleetError,
    RequestRejectedError,
    ServerFaultError,
    UnexpectedAnswerError,
    UnsafeChangeError,
)
from kraken_fleet.model import ALL_GROUP, METHODS, AgentsGroup, Deployment

# How many deleted groups are looked at, newest first, when a name is taken into use. One costs about 7 ms, once for a
# client; to overlook one means a group whose runs all fail.
HEAL_LIMIT = 10_000


class GroupsCalls(AgentsCalls):
    """The part of KrakenClient about agents groups.

    Runs look their group up by name among living and deleted groups alike, and fail with "Multiple rows were found"
    when there are two (trigger_jobs in kraken/server/exec_utils.py, 1.7.36). So a
    name that is taken into use is taken from the deleted groups that have it.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._deleted = DeletedGroups(session)

    def groups(self) -> tuple[AgentsGroup, ...]:
        """Return all living agents groups, by name.

        Raises:
            ServerError: see kraken_fleet.errors; so do all methods here.
        """
        return read_all(self._session, "/groups", decode.group)

    def group(self, group_id: int) -> AgentsGroup:
        """Return one group, deleted ones too. An unknown id is a RequestRejectedError with status 400."""
        return self._session.request("GET", f"/groups/{group_id}").decoded(decode.group)

    def deleted_groups(
        self,
        living: Iterable[AgentsGroup],
        *,
        listed: Iterable[int] = (),
        names: Iterable[str] = (),
        max_calls: int = HEAL_LIMIT,
    ) -> tuple[AgentsGroup, ...]:
        """Return all deleted groups, the oldest first; those that this client has seen once are not asked for again.

        Args:
            living: what `groups` has just returned.
            listed: more ids that some group has, such as those that agents list.
            names: names that are about to be taken into use.
            max_calls: how many unknown ids are asked for at most, the newest first.
        """
        return self._deleted.found(living, listed=listed, names=names, max_calls=max_calls)

    @property
    def known_deleted_groups(self) -> KnownGroups:
        """What this client knows of deleted groups, for another client of the same server."""
        return self._deleted.known

    def add_known_deleted_groups(self, known: KnownGroups) -> None:
        """Take over what another client of the same server knew; ids that it knew are not asked for again."""
        self._deleted.add_known(known)

    def create_group(self, name: str, project_id: int | None = None) -> AgentsGroup:
        """Create an agents group, after giving deleted groups of that name another one.

        In this order no run ever sees two groups of one name, not even when the connection breaks in between. When
        another client creates the name at the same moment, the server lets both: then it is the older group.

        Raises:
            UnsafeChangeError: the name is empty.
            RequestRejectedError: a living group has the name (400), or there is no such project.
        """
        _check_name(name)
        self.heal_group_name(name)
        (group,) = self._only_ones([self._post_group(name, project_id)])
        return group

    def create_groups(self, names: Iterable[str]) -> list[tuple[str, AgentsGroup | FleetError]]:
        """Create several groups with one POST each; what `create_group` looks for is looked for once.

        A name that a living group has already is not created again.

        Returns:
            each name with its group, or with why there is none: it is empty, or the server does not take it.
        """
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return []
        living = {group.name: group for group in self._freed(wanted, HEAL_LIMIT)[0]}
        made = {name: self._created(name) for name in wanted if name not in living}
        living |= {group.name: group for group in self._only_ones([*_groups(made.values())])}
        return [(name, living.get(name) or made[name]) for name in wanted]

    def rename_group(self, group_id: int, name: str) -> AgentsGroup:
        """Give a group another name; stages that name it have to be changed too.

        Raises:
            UnsafeChangeError: the group is `all`, the name is empty, or another group has it.
        """
        _check_name(name)
        group = self.group(group_id)
        if group.name == name:
            return group
        others = [other for other in self.groups() if other.id != group_id]
        if not any(other.name == ALL_GROUP and other.id < group_id for other in others):
            self._refuse_all(group, "rename")  # the oldest of that name is the server's own
        if any(other.name == name for other in others):
            raise UnsafeChangeError(
                f"Another agents group is called {name!r} already", hint="Choose another name, or delete that group"
            )
        if group.deleted is None:
            self.heal_group_name(name)
        return self._put_name(group_id, name)

    def set_deployment(self, group_id: int, deployment: Deployment) -> AgentsGroup:
        """Say how Kraken makes the agents of a group itself; settings that are not named stay as they are.

        Raises:
            UnsafeChangeError: the group is `all`: Kraken would delete every agent, since all are in it.
        """
        sent = self._session.request("GET", f"/groups/{group_id}")
        if deployment.by_kraken:
            self._refuse_all(sent.decoded(decode.group), "let Kraken make the agents of")
        # PUT replaces the whole, so what other methods have and what is not known here is sent back.
        whole = dict(sent.decoded(decode.deployment_as_sent))
        whole["method"] = METHODS[deployment.method]
        if deployment.settings:
            before = whole.get(deployment.method)
            secrets = {name: secret.reveal() for name, secret in deployment.secrets().items()}
            own = dict(before) if isinstance(before, Mapping) else {}
            whole[deployment.method] = {**own, **deployment.plain(), **secrets}
        body = {"deployment": whole}
        return self._session.request("PUT", f"/groups/{group_id}", body=body).decoded(decode.group)

    def delete_group(self, group_id: int, *, force: bool = False) -> None:
        """Delete a group and free its name: the group is called NAME-deleted-ID first. Repeatable.

        Args:
            force: take its agents out of it first; otherwise a group with agents is not deleted.

        Raises:
            UnsafeChangeError: the group is `all`, or has agents and `force` is not set.
        """
        group = self.group(group_id)
        if group.deleted is None:
            self._refuse_all(group, "delete")
            self._empty(group, force=force)
        # First the name, then the deletion: a run looks for its group among deleted ones too, so a name that a deleted
        # group keeps is lost for every new group.
        retired = self._retired_name(group)
        if group.name != retired:
            self._put_name(group_id, retired)
        if group.deleted is None:
            self._session.request("DELETE", f"/groups/{group_id}")
        self._deleted.remember(dataclasses.replace(group, name=retired))

    def heal_group_name(self, name: str, *, max_calls: int = HEAL_LIMIT) -> tuple[AgentsGroup, ...]:
        """Rename deleted groups called `name`, so that runs find the living one again.

        Args:
            max_calls: how many unknown ids are asked for at most, newest first.

        Returns:
            the groups that were renamed, as they are now.
        """
        return self._freed([name], max_calls)[1]

    def _freed(self, names: Collection[str], max_calls: int) -> tuple[tuple[AgentsGroup, ...], tuple[AgentsGroup, ...]]:
        """Rename the deleted groups that have these names; return the living groups, and those that were renamed."""
        living = self.groups()
        taken = [group.name for group in living]
        deleted = self.deleted_groups(living, names=names, max_calls=max_calls)
        renamed = tuple(
            self._put_name(group.id, group.another_name(taken)) for group in reversed(deleted) if group.name in names
        )
        return living, renamed

    def _created(self, name: str) -> AgentsGroup | FleetError:
        """Return a group whose name has just been freed."""
        try:
            _check_name(name)
            return self._post_group(name, None)
        except RequestRejectedError as error:
            # Somebody else may have been faster.
            return next((group for group in self.groups() if group.name == name), error)
        except (UnsafeChangeError, ServerFaultError, UnexpectedAnswerError) as error:
            return error

    def _only_ones(self, created: Sequence[AgentsGroup]) -> list[AgentsGroup]:
        """Return groups that were just created; in place of one that two clients created at once, the older of the two.

        The server asks whether there is the name and then inserts it, and its table lets a name be there twice.
        """
        oldest: dict[str, AgentsGroup] = {}
        for group in sorted(self.groups() if created else (), key=lambda group: group.id):
            oldest.setdefault(group.name, group)
        for group in created:
            if oldest.get(group.name, group).id != group.id:
                self.delete_group(group.id)
        return [oldest.get(group.name, group) for group in created]

    def _post_group(self, name: str, project_id: int | None) -> AgentsGroup:
        body: dict[str, object] = {"name": name}
        if project_id is not None:
            body["project_id"] = project_id
        return self._session.request("POST", "/groups", body=body).decoded(decode.group)

    def _put_name(self, group_id: int, name: str) -> AgentsGroup:
        group = self._session.request("PUT", f"/groups/{group_id}", body={"name": name}).decoded(decode.group)
        if group.deleted:
            self._deleted.remember(group)
        return group

    def _empty(self, group: AgentsGroup, *, force: bool) -> None:
        # The group's own count leaves out agents that are not authorized.
        listed = (*self.agents(), *self.agents(unauthorized=True))
        members = {agent.id: ids for agent in listed if group.id in (ids := {ref.id for ref in agent.groups})}
        count = max(len(members), group.agents_count)
        if count and not force:
            raise UnsafeChangeError(
                f"The agents group {group.name!r} has agents ({count})",
                hint="Take them out first, or use --force: else agents keep a deleted group in their lists",
            )
        for agent_id, ids in members.items():
            self.set_agent_groups(agent_id, ids - {group.id})

    def _retired_name(self, group: AgentsGroup) -> str:
        if group.name.endswith(f"-deleted-{group.id}"):
            return group.name
        return group.another_name([other.name for other in self.groups()])

    @staticmethod
    def _refuse_all(group: AgentsGroup, verb: str) -> None:
        if group.name == ALL_GROUP:
            raise UnsafeChangeError(
                f"Will not {verb} the agents group {ALL_GROUP!r}",
                hint="The server puts every agent it authorizes into it and fails without it",
            )


def _groups(made: Iterable[AgentsGroup | FleetError]) -> Iterator[AgentsGroup]:
    return (group for group in made if isinstance(group, AgentsGroup))


def _check_name(name: str) -> None:
    if not name.strip():
        raise UnsafeChangeError("An agents group needs a name", hint="The server takes an empty one, jobs cannot")
