"""Settings, systems, and the files that are served for installing agents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.kraken_server import KrakenServer
from tests.contract.records import NO_TOKEN, UNKNOWN_URL, problem

PUBLIC = {
    "idp": {
        "auth0_enabled": False,
        "github_enabled": False,
        "google_enabled": False,
        "ldap_enabled": False,
        "microsoft_enabled": False,
    }
}
NAMES = {
    "cloud": {
        "aws_access_key",
        "aws_secret_access_key",
        "azure_client_id",
        "azure_client_secret",
        "azure_subscription_id",
        "azure_tenant_id",
        "k8s_api_server_url",
        "k8s_namespace",
        "k8s_token",
    },
    "general": {"clickhouse_addr", "clickhouse_log_ttl", "minio_addr", "server_url"},
    "idp": {
        "auth0_client_id",
        "auth0_client_secret",
        "auth0_enabled",
        "auth0_openid_config_url",
        "base_dn",
        "bind_dn",
        "bind_password",
        "github_client_id",
        "github_client_secret",
        "github_enabled",
        "google_client_id",
        "google_client_secret",
        "google_enabled",
        "ldap_enabled",
        "ldap_server",
        "microsoft_client_id",
        "microsoft_client_secret",
        "microsoft_enabled",
        "search_filter",
    },
    "monitoring": {"sentry_dsn"},
    "notification": {"slack_token", "smtp_from", "smtp_password", "smtp_server", "smtp_tls", "smtp_user"},
}


@pytest.fixture
def general(server: KrakenServer) -> Iterator[dict[str, object]]:
    """The group `general`, put back afterwards: others use this server too."""
    before = server.api("GET", "/settings").body["general"]
    yield dict(before)
    kept = {name: before[name] for name in ("server_url", "clickhouse_addr", "minio_addr")}
    server.api("PUT", "/settings", {"general": kept})


def test_an_administrator_reads_every_setting(server: KrakenServer) -> None:
    said = server.api("GET", "/settings")
    assert said.status == 200
    assert {group: set(values) for group, values in said.body.items()} == NAMES


@pytest.mark.parametrize("token", [None, "deadbeef", "plain"])
def test_others_get_the_public_part_even_with_a_bad_token(server: KrakenServer, token: str | None) -> None:
    said = server.api("GET", "/settings", token=server.plain if token == "plain" else token)
    assert (said.status, said.body) == (200, PUBLIC)


def test_a_part_is_changed_and_the_whole_comes_back(server: KrakenServer, general: dict[str, object]) -> None:
    said = server.api("PUT", "/settings", {"general": {"minio_addr": "192.0.2.7:9000"}})
    assert said.status == 200
    assert said.body["general"] == {**general, "minio_addr": "192.0.2.7:9000"}
    assert server.api("GET", "/settings").body == said.body


@pytest.mark.parametrize("change", [{"general": {"nope": 1}}, {"nope": {"a": 1}}, {}])
def test_what_is_unknown_is_ignored(server: KrakenServer, change: dict[str, object]) -> None:
    before = server.api("GET", "/settings").body
    said = server.api("PUT", "/settings", change)
    assert (said.status, said.body) == (200, before)


@pytest.mark.usefixtures("general")
def test_null_empties_a_setting(server: KrakenServer) -> None:
    said = server.api("PUT", "/settings", {"general": {"minio_addr": None}})
    assert (said.status, said.body["general"]["minio_addr"]) == (200, "")


def test_a_group_that_is_no_object_is_refused(server: KrakenServer) -> None:
    said = server.api("PUT", "/settings", {"general": "x"})
    assert (said.status, said.body) == (400, problem(400, "'x' is not of type 'object' - 'general'"))


def test_a_password_is_never_shown(server: KrakenServer) -> None:
    said = server.api("PUT", "/settings", {"notification": {"smtp_password": "s3cret"}})
    assert said.status == 200
    assert "s3cret" not in str(said.body)
    assert "s3cret" not in str(server.api("GET", "/settings").body)


def test_any_is_among_the_systems(server: KrakenServer) -> None:
    said = server.api("GET", "/systems")
    assert said.status == 200
    assert {"executor": "local", "id": 1, "name": "any"} in said.body["items"]
    assert said.body["total"] == len(said.body["items"])
    refused = server.api("GET", "/systems", token=None)
    assert (refused.status, refused.body) == (401, problem(401, NO_TOKEN))


@pytest.mark.parametrize("prefix", ["", "/bk"])
def test_the_install_script_names_this_servers_addresses(
    server: KrakenServer, general: dict[str, object], prefix: str
) -> None:
    answer = server.file(f"{prefix}/install/kraken-agent-install.sh")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/x-sh")
    assert answer.text.startswith("#!/bin/")
    assert str(general["server_url"]) in answer.text
    assert str(general["clickhouse_addr"]) in answer.text


def test_the_windows_installer_names_this_servers_addresses(server: KrakenServer, general: dict[str, object]) -> None:
    answer = server.file("/install/kraken-agent-install.bat")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/x-bat")
    assert str(general["server_url"]) in answer.text
    assert str(general["clickhouse_addr"]) in answer.text


@pytest.mark.usefixtures("general")
@pytest.mark.parametrize("missing", ["server_url", "clickhouse_addr"])
@pytest.mark.parametrize("name", ["kraken-agent-install.sh", "kraken-agent-install.bat"])
def test_without_its_addresses_the_server_has_no_install_script(server: KrakenServer, missing: str, name: str) -> None:
    server.api("PUT", "/settings", {"general": {missing: ""}})
    answer = server.file(f"/install/{name}")
    assert (answer.status_code, answer.text) == (500, "{}")


def test_an_unknown_install_file(server: KrakenServer) -> None:
    answer = server.file("/install/nope")
    assert (answer.status_code, answer.json()) == (404, problem(404, UNKNOWN_URL))
