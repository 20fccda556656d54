"""An inventory: the fleet that it asks for, and the server that it names."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from kraken_fleet.collection import collection_root
from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory.addresses import Resolver, resolve_name
from kraken_fleet.inventory.asking import ask
from kraken_fleet.inventory.check import SHOWN, raise_if_any
from kraken_fleet.inventory.command import ansible_program, listing
from kraken_fleet.inventory.definitions import definitions
from kraken_fleet.inventory.fleet import chosen_hosts, fleet_from_hostvars, hostvars_of
from kraken_fleet.inventory.levels import AGENTS_GROUP, GroupTree
from kraken_fleet.inventory.render import fill_in
from kraken_fleet.inventory.server import read_server
from kraken_fleet.inventory.types import is_locked
from kraken_fleet.inventory.unread import unread_files
from kraken_fleet.model import DesiredFleet, ServerAccount


class Inventory:
    """An inventory as Ansible reads it, once for all that is asked of it.

    Which directory is the current one makes no difference.

    Args:
        sources: what `-i` of ansible-playbook takes: files, directories, scripts, plugins.
        limit: a host pattern, as `--limit`; the fleet is then a slice and not complete.
        playbook_dir: where group_vars and host_vars beside playbooks are; default the collection's own playbooks,
            beside which a deploy with one of them looks.
        arguments: further options of all of Ansible's programs: vault passwords and extra variables.

    Raises:
        InventoryError: there is no such file or directory.
    """

    def __init__(
        self,
        sources: Sequence[Path | str],
        limit: str | None = None,
        *,
        playbook_dir: Path | str | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.sources = tuple(sources)
        self.limit = limit
        self.playbook_dir = playbook_dir or collection_root() / "playbooks"
        self.arguments = tuple(arguments)
        for source in self.sources:
            # To Ansible a text with a comma is a list of hosts and no file.
            if "," not in str(source) and not Path(source).exists():
                raise InventoryError("There is no such file or directory", where=str(source))
        if not Path(self.playbook_dir).is_dir():
            raise InventoryError("There is no such directory", where=str(self.playbook_dir))

    def __str__(self) -> str:
        return ", ".join(map(str, self.sources))

    def anew(self) -> Inventory:
        """Return the same inventory, to be read once more."""
        return Inventory(self.sources, self.limit, playbook_dir=self.playbook_dir, arguments=self.arguments)

    def fleet(self, resolve: Resolver | None = resolve_name) -> DesiredFleet:
        """Read the fleet that the inventory asks for.

        Args:
            resolve: finds the address of a host that is known by name only; see fleet_from_hostvars for None.

        Raises:
            InventoryError: Ansible cannot read it, or a variable is wrong; it names host, variable and file.
        """
        try:
            self._refuse_limit_without_agents()
            hostvars, levels = fill_in(
                self._command("ansible"), self._merged, self._tree, hostvars_of(self._listings[1])
            )
            fleet = fleet_from_hostvars(
                {host: hostvars.get(host, {}) for host in self._chosen},
                {host: self._tree.groups_of(host) for host in self._chosen},
                levels=levels,
                complete=self.limit is None,
                resolve=resolve,
            )
        except InventoryError as error:
            problems = error.problems or [error]
            # To find a place, all files are read: only for what a person will read.
            raise_if_any([*map(self._placed, problems[:SHOWN]), *problems[SHOWN:]])
            raise
        known = {*self._tree.hosts(), *self._tree.groups()}
        return dataclasses.replace(fleet, unread_files=unread_files(self.sources, self.playbook_dir, known))

    def _refuse_limit_without_agents(self) -> None:
        if self.limit and not self._chosen:
            hint = f"Name hosts of the group {AGENTS_GROUP}"
            raise InventoryError(f"None of the hosts of --limit {self.limit} is an agent", hint=hint)

    def server(self) -> ServerAccount:
        """Read which server the inventory names, and the account there.

        Raises:
            InventoryError: hosts disagree about it, or a template in it cannot be filled in.
        """
        try:
            return read_server(self._command("ansible"), {host: self._merged.get(host, {}) for host in self._chosen})
        except InventoryError as error:
            raise self._placed(error) from error

    def hosts(self) -> dict[str, tuple[Mapping[str, object], Sequence[str]]]:
        """Return the variables of each agent's host, templates not filled in, and its inventory groups.

        Raises:
            InventoryError: Ansible cannot read the inventory, or the limit leaves no agent.
        """
        self._refuse_limit_without_agents()
        return {host: (self._merged.get(host, {}), self._tree.groups_of(host)) for host in self._chosen}

    def variables(self, host: str, names: Collection[str]) -> Mapping[str, object]:
        """Return those of these variables that a host has, with their templates filled in.

        Raises:
            InventoryError: Ansible cannot read the inventory, or a template in them cannot be filled in.
        """
        wanted = {name: value for name, value in self._merged.get(host, {}).items() if name in names}
        templates = {name: value for name, value in wanted.items() if is_locked(value)}
        return {**wanted, **(ask(self._command("ansible"), {host: templates})[host] if templates else {})}

    @cached_property
    def _listings(self) -> tuple[dict[str, object], dict[str, object]]:
        command = [*self._command("ansible-inventory"), "--list", *(["--limit", self.limit] if self.limit else [])]
        # Merged variables follow Ansible's precedence to the letter; exported ones keep each level apart.
        with ThreadPoolExecutor(max_workers=2) as pool:
            merged = pool.submit(listing, command, self.sources)
            exported = pool.submit(listing, [*command, "--export"], self.sources)
            return merged.result(), exported.result()

    @cached_property
    def _merged(self) -> Mapping[str, Mapping[str, object]]:
        return hostvars_of(self._listings[0])

    @cached_property
    def _tree(self) -> GroupTree:
        return GroupTree(self._listings[1])

    @property
    def _chosen(self) -> Sequence[str]:
        return chosen_hosts(self._tree)

    def _command(self, program: str) -> list[str]:
        """Give a program of Ansible's with the options that name the inventory."""
        named = [part for source in self.sources for part in ("-i", str(source))]
        return [ansible_program(program), *named, "--playbook-dir", str(self.playbook_dir), *self.arguments]

    def _placed(self, error: InventoryError) -> InventoryError:
        """Say of an error in which file and line it is, as far as that can be found."""
        place = next(definitions(self.sources, self.playbook_dir, error), str(self))
        named = f"{place}: {error.where}" if error.where and error.where != place else place
        return InventoryError(error.message, host=error.host, variable=error.variable, where=named, hint=error.hint)


def load(
    sources: Sequence[Path | str],
    limit: str | None = None,
    *,
    playbook_dir: Path | str | None = None,
    resolve: Resolver = resolve_name,
) -> DesiredFleet:
    """Read a fleet from an inventory: see Inventory."""
    return Inventory(sources, limit, playbook_dir=playbook_dir).fleet(resolve)
