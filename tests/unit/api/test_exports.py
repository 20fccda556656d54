"""What the package offers cannot drift unseen."""

from __future__ import annotations

import inspect

from kraken_fleet import api
from kraken_fleet.api import KrakenClient


def test_the_package_exports_exactly_this() -> None:
    constants = "DELETE_BURST DELETE_INTERVAL MAX_CONNECTIONS SORT_FIELDS"
    types = "Credentials KnownGroups KrakenClient Page PasswordCredentials Recorder TokenCredentials"
    functions = "credentials_from find_credentials find_server of_environment of_files read_secret"
    assert set(api.__all__) == {*constants.split(), *types.split(), *functions.split()}
    assert all(hasattr(api, name) for name in api.__all__)


def test_the_client_offers_exactly_these_calls() -> None:
    offered = {name for name in dir(KrakenClient) if not name.startswith("_")}
    about_agents = {
        "agents",
        "agents_page",
        "agent",
        "set_authorized",
        "set_agent_groups",
        "enable_agent",
        "disable_agent",
    }
    about_agents |= {"delete_agent", "delete_agents", "agent_jobs"}
    about_groups = {
        "groups",
        "group",
        "create_group",
        "create_groups",
        "rename_group",
        "delete_group",
        "heal_group_name",
        "set_deployment",
    }
    about_groups |= {"make_passing_group", "call_passing_group", "drop_passing_group"}
    about_groups |= {"deleted_groups", "known_deleted_groups", "add_known_deleted_groups"}
    about_the_server = {
        "version",
        "settings",
        "update_settings",
        "systems",
        "install_file",
        "url",
        "user",
        "find_user",
        "close",
        "server_time",
        "clock_ahead",
        "recorded",
    }
    about_workflows = {"projects", "create_project", "create_branch", "branch", "create_stage", "update_stage"}
    about_workflows |= {
        "start_flow",
        "flow",
        "flow_runs",
        "flows",
        "run",
        "cancel_run",
        "run_jobs",
        "job",
        "cancel_job",
    }
    about_workflows |= {"cancel_job", "job_log", "logs"}
    assert offered == about_agents | about_groups | about_the_server | about_workflows


def test_every_call_says_what_it_returns() -> None:
    calls = inspect.getmembers(KrakenClient, inspect.isfunction)
    assert [name for name, call in calls if "return" not in call.__annotations__ and not name.startswith("_")] == []
