"""Whoever reads a deploy's diffs, results and logs: does a value of kraken_agent_environment stand in them?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.kraken_ci.fleet.plugins.action.compose_agents import _shown
from ansible_collections.kraken_ci.fleet.plugins.module_utils import compose_project
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import container, env_file
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError
from hypothesis import given
from hypothesis import strategies as st

NAMES = ["DB_PASS", "GH_PAT", "MYSQL_PWD", "SMTP_CREDENTIALS", "https_proxy", "PATH_TO_X", "KRAKEN_SOMETHING"]
# What a file of lines can hold; kept apart from all that a deploy says itself.
SECRETS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=30).map(
    lambda text: f"secret-4711{text}"
)


@given(st.dictionaries(st.sampled_from(NAMES), SECRETS), st.dictionaries(st.sampled_from(NAMES), SECRETS))
def test_a_diff_of_kraken_env_shows_names_and_no_value(old: dict[str, str], new: dict[str, str]) -> None:
    before, after = env_file.mask(env_file.render(old), env_file.render(new))
    assert "4711" not in before + after
    assert env_file.HEADER in before
    for name, value in new.items():
        changed = " (changed)" if name in old and old[name] != value else ""
        assert f"{name}=********{changed}\n" in after


@given(st.text())
def test_a_file_that_somebody_else_wrote_is_shown_without_its_values(text: str) -> None:
    before, _ = env_file.mask(text, env_file.render({}))
    known = {"********", env_file.HEADER.strip(), ""}
    assert {line.partition("=")[2] or line for line in before.splitlines() if line.strip()} <= known


@pytest.mark.parametrize("url", ["http://user:se@cret@h:1/", "http://se/cret:x@h:1", "//:@se@cret@h:1"])
def test_what_stands_before_the_last_at_sign_of_an_address_is_hidden(url: str) -> None:
    shown = env_file.shown("KRAKEN_SERVER_ADDR", url)
    assert "se" not in shown.replace("server", "")
    assert shown.partition("@")[2].startswith("h:1")


def test_variables_are_no_longer_shown_for_their_innocent_names() -> None:
    _, after = env_file.mask("", env_file.render({"LANG": "C", "KRAKEN_SERVER_ADDR": "http://k:6363"}))
    assert "LANG=********\n" in after
    assert "KRAKEN_SERVER_ADDR=http://k:6363\n" in after


def test_a_container_is_shown_without_the_values_of_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {
        "Config": {
            "Image": "a:1",
            "Labels": {container.LABEL: "of before"},
            "Env": ["DB_PASS=secret-4711", "PATH=/bin"],
        },
        "HostConfig": {"NetworkMode": "host", "RestartPolicy": {"Name": "always"}, "Binds": []},
        "State": {"Running": True},
    }
    monkeypatch.setattr(container, "found", lambda _: there)
    wanted = container.Container("kraken-agent", "a:2", {"DB_PASS": "secret-4712", "KRAKEN_SERVER_ADDR": "http://k"})
    diffs = json.dumps([change.diff for change in container.present(wanted)])
    assert "secret" not in diffs
    assert "DB_PASS=******** (changed)" in diffs


def test_a_compose_override_is_shown_without_the_values_of_its_variables() -> None:
    def text(value: str) -> str:
        service = {"image": "a:1", "environment": ["KRAKEN_SERVER_ADDR", f"DB_PASS={value}"]}
        return yaml.safe_dump({"services": {"agent1": service}})

    shown = _shown(text("secret-4712"), text("secret-4711"))
    assert "secret" not in shown
    environment = yaml.safe_load(shown)["services"]["agent1"]["environment"]
    assert environment == ["KRAKEN_SERVER_ADDR", "DB_PASS=******** (changed)"]


def test_a_compose_override_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    compose_project.write_atomically(str(tmp_path / "override.yaml"), "secret")
    assert (tmp_path / "override.yaml").stat().st_mode & 0o777 == 0o600


def test_a_value_that_is_refused_is_not_in_the_message() -> None:
    with pytest.raises(HostError) as refused:
        env_file.render({"DB_PASS": "secret-4711\nline"})
    assert "4711" not in str(refused.value)


@pytest.mark.parametrize("module", ["agent_container", "compose_agents"])
def test_a_module_leaves_its_arguments_out_of_the_hosts_journal(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible writes them there, unless the module says that it has secrets."""
    found: dict[str, Any] = {}

    class Stop(Exception):  # noqa: N818 - ends `main` where the module would begin
        pass

    def instead(**more: Any) -> None:
        found.update(more)
        raise Stop

    path = f"ansible_collections.kraken_ci.fleet.plugins.modules.{module}"
    monkeypatch.setattr(f"{path}.AnsibleModule", instead)
    with pytest.raises(Stop):
        __import__(path, fromlist=["main"]).main()
    assert found["no_log"] is True
