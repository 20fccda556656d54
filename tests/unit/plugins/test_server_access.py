"""What the playbooks ask of server and account before they touch a host."""

from __future__ import annotations

import sys

import pytest
import yaml

from tests.unit.plugins.task_runs import ROOT, Stage

PLAYBOOKS = ("deploy-agents", "upgrade-agents", "remove-agents", "drain-agents", "enable-agents")


def test_a_server_that_answers_an_administrator_may_be_used(stage: Stage) -> None:
    (answer,) = stage.play({"kraken_ci.fleet.server_access": {}}, check=True)
    assert (answer["changed"], answer["server"], answer["version"][:2]) == (False, stage.server.url, "1.")


@pytest.mark.parametrize("playbook", PLAYBOOKS)
@pytest.mark.parametrize("check", [[], ["--check"]])
def test_a_wrong_password_is_told_before_any_host_is_touched(stage: Stage, playbook: str, check: list[str]) -> None:
    directory = stage.folder / "agent"
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "kraken_agent_address": "127.0.9.9",
        "kraken_agent_dir": str(directory),
        "kraken_agent_service_manager": "process",
        "kraken_server_url": stage.server.url,
        "kraken_server_user": "admin",
        "kraken_server_password": "wrong",
    }
    inventory = stage.folder / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"kraken_agents": {"hosts": {"one": host}}}))
    done = stage.run(["ansible-playbook", "-i", str(inventory), *check, str(ROOT / "playbooks" / f"{playbook}.yml")])
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2
    assert "Nothing was done to any host, for the server cannot be used: " in said
    assert "The server knows no user 'admin' with this password" in said
    assert not directory.exists()


def test_a_token_that_is_not_accepted_is_told(stage: Stage) -> None:
    (answer,) = stage.play({"kraken_ci.fleet.server_access": {"server_token": "made-up"}})
    assert answer["failed"]
    assert "The server does not accept our credentials" in answer["msg"]


def test_the_line_end_of_a_vaulted_file_is_not_of_the_password(stage: Stage) -> None:
    account = {"server_user": stage.server.user, "server_password": stage.server.password + "\n"}
    (answer,) = stage.play({"kraken_ci.fleet.server_access": account})
    assert not answer.get("failed"), answer
