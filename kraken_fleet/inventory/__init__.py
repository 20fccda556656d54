"""From an Ansible inventory to the fleet it asks for; errors name host, variable and file."""

from kraken_fleet.inventory.addresses import resolve_name, unsure_hosts
from kraken_fleet.inventory.check import listed, merged, problems_of_host
from kraken_fleet.inventory.environment import start_ansible
from kraken_fleet.inventory.fleet import fleet_from_hostvars, fleet_from_inventory
from kraken_fleet.inventory.levels import AGENTS_GROUP, GROUP_PREFIX, Level
from kraken_fleet.inventory.source import Inventory, load
from kraken_fleet.inventory.unread import unread_files
from kraken_fleet.inventory.updates import unchecked_updates
from kraken_fleet.inventory.variables import GROUPS_VARIABLE, SERVER_VARIABLES

__all__ = [
    "AGENTS_GROUP",
    "GROUPS_VARIABLE",
    "GROUP_PREFIX",
    "SERVER_VARIABLES",
    "Inventory",
    "Level",
    "fleet_from_hostvars",
    "fleet_from_inventory",
    "listed",
    "load",
    "merged",
    "problems_of_host",
    "resolve_name",
    "start_ansible",
    "unchecked_updates",
    "unread_files",
    "unsure_hosts",
]
