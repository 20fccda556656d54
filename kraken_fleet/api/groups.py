"""Agents groups, with the changes refused or made safe that a Kraken server accepts and then breaks on."""

from __future__ import annotations

from kraken_fleet.api import decode
from kraken_fleet.api.agents import AgentsCalls
from kraken_fleet.api.deleted_groups import DeletedGroups
from kraken_fleet.api.paging import read_all
from kraken_fleet.api.session import Session
from kraken_fleet.errors import UnsafeChangeError
from kraken_fleet.model import ALL_GROUP, AgentsGroup

# How many deleted groups are looked at, newest first, when a name is taken into use. One costs about 7 ms.
HEAL_LIMIT = 200


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
        """All living agents groups, by name.

        Raises:
            ServerError: see kraken_fleet.errors; so do all methods here.
        """
        return read_all(self._session, "/groups", decode.group)

    def group(self, group_id: int) -> AgentsGroup:
        """One group, deleted ones too. An unknown id is a RequestRejectedError with status 400."""
        return self._session.request("GET", f"/groups/{group_id}").decoded(decode.group)

    def create_group(self, name: str, project_id: int | None = None) -> AgentsGroup:
        """Creates an agents group, and gives deleted groups of that name another one.

        Raises:
            UnsafeChangeError: the name is empty.
            RequestRejectedError: a living group has the name (400), or there is no such project.
        """
        _check_name(name)
        body: dict[str, object] = {"name": name}
        if project_id is not None:
            body["project_id"] = project_id
        created = self._session.request("POST", "/groups", body=body).decoded(decode.group)
        self.heal_group_name(name, newest=created.id)
        return created

    def rename_group(self, group_id: int, name: str) -> AgentsGroup:
        """Gives a group another name; stages that name it have to be changed too.

        Raises:
            UnsafeChangeError: the group is `all`, the name is empty, or another group has it.
        """
        _check_name(name)
        group = self.group(group_id)
        if group.name == name:
            return group
        self._refuse_all(group, "rename")
        if any(other.name == name for other in self.groups() if other.id != group_id):
            raise UnsafeChangeError(
                f"Another agents group is called {name!r} already", hint="Choose another name, or delete that group"
            )
        renamed = self._put_name(group_id, name)
        if group.deleted is None:
            self.heal_group_name(name)
        return renamed

    def delete_group(self, group_id: int, *, force: bool = False) -> None:
        """Deletes a group and frees its name: the group is called NAME-deleted-ID first. Repeatable.

        Args:
            force: take its agents out of it first; otherwise a group with agents is not deleted.

        Raises:
            UnsafeChangeError: the group is `all`, or has agents and `force` is not set.
        """
        group = self.group(group_id)
        if group.deleted is None:
            self._refuse_all(group, "delete")
            self._empty(group, force=force)
        retired = _retired_name(group)
        if group.name != retired:
            self._put_name(group_id, retired)
        if group.deleted is None:
            self._session.request("DELETE", f"/groups/{group_id}")
        self._deleted.remember(group_id, retired)

    def heal_group_name(
        self, name: str, *, newest: int | None = None, max_calls: int = HEAL_LIMIT
    ) -> tuple[AgentsGroup, ...]:
        """Renames deleted groups called `name`, so that runs find the living one again.

        Args:
            newest: the highest id that any group has, when it is known; otherwise it is found out.
            max_calls: how many unknown ids are asked for at most, newest first.

        Returns:
            the groups that were renamed, as they are now.
        """
        alive = {group.id for group in self.groups()}
        healed = []
        for group_id in self._deleted.called(name, alive, newest=newest, max_calls=max_calls):
            healed.append(self._put_name(group_id, f"{name}-deleted-{group_id}"))
            self._deleted.remember(group_id, healed[-1].name)
        return tuple(healed)

    def _put_name(self, group_id: int, name: str) -> AgentsGroup:
        return self._session.request("PUT", f"/groups/{group_id}", body={"name": name}).decoded(decode.group)

    def _empty(self, group: AgentsGroup, *, force: bool) -> None:
        if group.agents_count and not force:
            raise UnsafeChangeError(
                f"The agents group {group.name!r} has agents ({group.agents_count})",
                hint="Take them out first, or force it: agents go on listing a group that is deleted under them",
            )
        if not group.agents_count:
            return
        for agent in (*self.agents(), *self.agents(unauthorized=True)):
            ids = {ref.id for ref in agent.groups}
            if group.id in ids:
                self.set_agent_groups(agent.id, ids - {group.id})

    @staticmethod
    def _refuse_all(group: AgentsGroup, verb: str) -> None:
        if group.name == ALL_GROUP:
            raise UnsafeChangeError(
                f"Will not {verb} the agents group {ALL_GROUP!r}",
                hint="The server puts every agent it authorises into it and fails without it",
            )


def _check_name(name: str) -> None:
    if not name.strip():
        raise UnsafeChangeError("An agents group needs a name", hint="The server takes an empty one, jobs cannot")


def _retired_name(group: AgentsGroup) -> str:
    suffix = f"-deleted-{group.id}"
    return group.name if group.name.endswith(suffix) else group.name + suffix
