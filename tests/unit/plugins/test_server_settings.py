"""The module server_settings."""

from __future__ import annotations

from typing import Any

from tests.unit.plugins.task_runs import Stage

WANTED = {"general": {"minio_addr": "192.0.2.7:9999", "clickhouse_log_ttl": "12"}, "notification": {"smtp_tls": "yes"}}


def settings_of(stage: Stage) -> dict[str, Any]:
    with stage.client as client:
        return client.settings()


def test_settings_are_set_once_in_the_servers_own_types(stage: Stage) -> None:
    before = settings_of(stage)
    predicted, done, again = stage.thrice("server_settings", settings=WANTED)
    assert [result["changed"] for result in (predicted, done, again)] == [True, True, False]
    assert predicted["changes"] == done["changes"]
    assert done["changes"] == ["general.clickhouse_log_ttl", "general.minio_addr", "notification.smtp_tls"]
    assert predicted["diff"] == done["diff"]
    assert "minio_addr: 192.0.2.7:9999" in done["diff"]["after"]
    assert predicted["settings"] == done["settings"] == again["settings"]
    now = settings_of(stage)
    assert now["general"] == {**before["general"], "minio_addr": "192.0.2.7:9999", "clickhouse_log_ttl": 12}
    assert now["notification"]["smtp_tls"] is True
    assert now["cloud"] == before["cloud"]


def test_check_mode_writes_nothing(stage: Stage) -> None:
    before = settings_of(stage)
    secrets = {"notification": {"slack_token": "s3cret-word"}}
    (result,) = stage.play({"kraken_ci.fleet.server_settings": {"settings": WANTED, "secrets": secrets}}, check=True)
    assert result["changed"]
    assert settings_of(stage) == before


def test_nothing_asked_only_returns_what_there_is(stage: Stage) -> None:
    (result,) = stage.play({"kraken_ci.fleet.server_settings": {}})
    assert not result["changed"]
    assert result["settings"] == settings_of(stage)


def test_secrets_are_written_when_told_and_never_shown(stage: Stage) -> None:
    secrets = {"notification": {"smtp_password": "s3cret-word"}}
    task = {"kraken_ci.fleet.server_settings": {"secrets": secrets}}
    left = {"kraken_ci.fleet.server_settings": {"secrets": secrets, "update_secrets": False}}
    results = stage.play(task, task, left)
    assert [result["changed"] for result in results] == [True, True, False]
    assert results[0]["changes"] == ["notification.smtp_password"]
    assert "(hidden)" in results[0]["diff"]["after"]
    assert "s3cret-word" not in str(results)


def test_mistakes_are_told_with_what_to_do(stage: Stage) -> None:
    unknown, opened, flat, wrong = stage.play(
        {"kraken_ci.fleet.server_settings": {"settings": {"general": {"nosuch": 1}}}},
        {"kraken_ci.fleet.server_settings": {"settings": {"notification": {"smtp_password": "s3cret-word"}}}},
        {"kraken_ci.fleet.server_settings": {"settings": {"minio_addr": "192.0.2.7:9999"}}},
        {"kraken_ci.fleet.server_settings": {"settings": {"general": {"clickhouse_log_ttl": "soon"}}}},
    )
    assert all(result["failed"] for result in (unknown, opened, flat, wrong))
    assert "no setting general.nosuch" in unknown["msg"]
    assert "Move it from settings to secrets" in opened["msg"]
    assert "s3cret-word" not in opened["msg"]
    assert "is no dictionary" in flat["msg"]
    assert "is a whole number" in wrong["msg"]
