"""Agents groups with names that were never used and never will be again: nothing has to be healed or looked for."""

from __future__ import annotations

from kraken_fleet.api import decode
from kraken_fleet.api.session import Session
from kraken_fleet.model import AgentsGroup


class PassingGroupsCalls:
    """The part of KrakenClient about groups that are there for a while; see kraken_fleet.model.own_groups."""

    _session: Session

    def make_passing_group(self, name: str) -> AgentsGroup:
        """Create a group; the caller knows that no group, deleted ones included, ever had its name.

        Raises:
            ServerError: see kraken_fleet.errors; so do all methods here.
        """
        return self._session.request("POST", "/groups", body={"name": name}).decoded(decode.group)

    def call_passing_group(self, group_id: int, name: str) -> AgentsGroup:
        """Give it another name that was never used."""
        return self._session.request("PUT", f"/groups/{group_id}", body={"name": name}).decoded(decode.group)

    def drop_passing_group(self, group_id: int) -> None:
        """Delete it; the caller knows that no agent is in it. Repeatable."""
        self._session.request("DELETE", f"/groups/{group_id}")
