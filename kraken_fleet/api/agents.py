"""Agents: both lists, one of them, authorizing in bulk, groups, disabling, deleting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kraken_fleet.api import decode
from kraken_fleet.api.deletions import DeletionPace
from kraken_fleet.api.paging import PAGE_SIZE, Page, read_all, read_page
from kraken_fleet.api.session import Session
from kraken_fleet.errors import RequestRejectedError, ServerFaultError
from kraken_fleet.model import Agent, Job

# Sorting by anything else sorts by name without a word (get_agents in kraken/server/management.py, 1.7.36).
SORT_FIELDS = ("name", "address", "ip_address", "last_seen", "id")
_AUTHORIZE_BATCH = 500


class AgentsCalls:
    """The part of KrakenClient about agents. There is no way to create one: an agent exists once it has polled."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._deletion_pace = DeletionPace(session)

    def agents(self, *, unauthorized: bool = False) -> tuple[Agent, ...]:
        """Return all authorized agents, or all that wait to be authorized; never deleted ones.

        Raises:
            ServerError: see kraken_fleet.errors; so do all methods here.
        """
        # By id, so that an agent that appears meanwhile comes last and shifts none of the others.
        params = {"sort_field": "id", "sort_dir": "asc", "unauthorized": _bool(unauthorized)}
        return read_all(self._session, "/agents", decode.agent, params=params)

    def agents_page(
        self,
        start: int = 0,
        limit: int = 10,
        sort_field: str = "name",
        sort_dir: str = "asc",
        *,
        unauthorized: bool = False,
    ) -> Page[Agent]:
        """Return a part of one of the lists.

        Args:
            sort_field: one of SORT_FIELDS; the server takes `name` for any other.
            sort_dir: `asc` or `desc`.
        """
        params = {"sort_field": sort_field, "sort_dir": sort_dir, "unauthorized": _bool(unauthorized)}
        return read_page(self._session, "/agents", decode.agent, start=start, limit=limit, params=params)

    def agent(self, agent_id: int) -> Agent:
        """Return one agent, deleted ones too. An unknown id is a RequestRejectedError with status 400."""
        return self._session.request("GET", f"/agents/{agent_id}").decoded(decode.agent)

    def set_authorized(self, ids: Iterable[int], authorized: bool = True) -> None:  # noqa: FBT001, FBT002 - one meaning
        """Authorize agents, or take it back, 500 in one request; each request is done whole or not at all.

        The server also puts each authorized agent into the group `all`.

        Raises:
            RequestRejectedError: one of the ids is unknown; of its request nothing is done.
        """
        wanted = sorted(set(ids))  # an id twice in one request makes the server fail
        for first in range(0, len(wanted), _AUTHORIZE_BATCH):
            batch = wanted[first : first + _AUTHORIZE_BATCH]
            self._patch_agents([{"id": agent_id, "authorized": authorized} for agent_id in batch])

    def set_agent_groups(self, agent_id: int, group_ids: Iterable[int]) -> Agent:
        """Make these the groups of an agent, and only these: what is left out, `all` too, the agent leaves."""
        body = {"groups": [{"id": group_id} for group_id in sorted(set(group_ids))]}
        return self._put_agent(agent_id, body)

    def disable_agent(self, agent_id: int) -> Agent:
        """Keep an agent from getting jobs. A running job goes on."""
        return self._put_agent(agent_id, {"disabled": True})

    def enable_agent(self, agent_id: int) -> Agent:
        """Let an agent have jobs again."""
        return self._put_agent(agent_id, {"disabled": False})

    def delete_agent(self, agent_id: int) -> None:
        """Delete an agent's record; an agent that polls again returns, unauthorized and disabled.

        Each costs the server a second or more of background work, in the queue that also completes jobs. So all but the
        first of a client wait until the server is done with the one before, and while it works on one of somebody else.
        """
        self._deletion_pace.wait(agent_id)
        try:
            self._session.request("DELETE", f"/agents/{agent_id}")
        except (RequestRejectedError, ServerFaultError):
            self._deletion_pace.forget(agent_id)
            raise

    def delete_agents(self, ids: Iterable[int]) -> Iterator[int]:
        """Delete agents at the pace of `delete_agent`; yield each id when it is done."""
        for agent_id in sorted(set(ids)):
            self.delete_agent(agent_id)
            yield agent_id

    def agent_jobs(self, agent_id: int, *, limit: int = 50) -> tuple[Job, ...]:
        """Return the last jobs that an agent ran, newest first.

        Args:
            limit: how many at most; a server keeps them for years.
        """
        path = f"/agents/{agent_id}/jobs"
        return read_page(self._session, path, decode.job, start=0, limit=min(limit, PAGE_SIZE)).items

    def _put_agent(self, agent_id: int, body: Mapping[str, object]) -> Agent:
        return self._session.request("PUT", f"/agents/{agent_id}", body=body).decoded(decode.agent)

    def _patch_agents(self, changes: list[dict[str, object]]) -> None:
        try:
            self._session.request("PATCH", "/agents", body=changes)
        except ServerFaultError as error:
            hint = "This happens when the agents group `all` exists twice, one of them perhaps deleted: rename that one"
            raise ServerFaultError(error.message, where=error.where, hint=hint) from error


def _bool(value: bool) -> str:  # noqa: FBT001 - it turns a flag into text
    return "true" if value else "false"
