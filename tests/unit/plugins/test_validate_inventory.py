"""What a play's check of its variables refuses, and what of a play's own variables reaches the server."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.unit.plugins.task_runs import Stage

ONE, TWO = "127.0.9.1", "127.0.9.2"
CHECK = {"kraken_ci.fleet.validate_inventory": {}, "run_once": True}


def play(stage: Stage, hosts: dict[str, dict[str, Any]], **keywords: Any) -> tuple[int, str]:
    """Run one play over these hosts; give its exit code and what it printed."""
    (stage.folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    book = stage.folder / "book.yml"
    connection = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    variables = {**connection, **keywords.pop("vars", {})}
    book.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "vars": variables, **keywords}]))
    done = stage.run(["ansible-playbook", "-i", str(stage.folder / "hosts.yml"), str(book)])
    return done.returncode, done.stdout + done.stderr


def test_the_play_and_the_command_line_refuse_the_same_with_the_same_words(stage: Stage) -> None:
    hosts: dict[str, dict[str, Any]] = {
        "one": {"ansible_host": ONE, "kraken_registration_turst": "inventory"},
        "two": {"ansible_host": TWO, "kraken_agent_drain_seconds": "soon"},
    }
    code, said = play(stage, hosts, tasks=[CHECK])
    planned = stage.run(["kraken-fleet", "plan", "-i", str(stage.folder / "hosts.yml")])
    assert (code, planned.returncode) == (2, 1)
    for words in (
        "host one, variable kraken_registration_turst: There is no such variable. Did you mean kraken_registration",
        "host two, variable kraken_agent_drain_seconds: 'soon' is not a whole number",
    ):
        assert words in said
        assert words in " ".join(planned.stderr.split())


def test_a_secret_that_nobody_has_defined_is_found_and_never_shown(stage: Stage) -> None:
    hosts = {
        "one": {"ansible_host": ONE, "vault_password": "Zanzibar9", "kraken_server_password": "{{ vault_password }}"},
        "two": {"ansible_host": TWO, "kraken_server_password": "{{ vault_password }}"},
    }
    code, said = play(stage, hosts, tasks=[CHECK])
    assert code == 2
    assert "host two, variable kraken_server_password: It cannot be filled in: " in said
    assert "'vault_password' is undefined. Correct the template, or what it refers to" in said
    assert "host one" not in said
    assert "Zanzibar9" not in said


def test_variables_where_the_play_does_not_look_are_named(stage: Stage) -> None:
    """As for a project whose site.yml imports a playbook of the collection; a plan makes a finding of it."""
    inventories = stage.folder / "inventories"
    inventories.mkdir()
    (inventories / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"one": {"ansible_host": ONE}}}}))
    (stage.folder / "group_vars").mkdir()
    (stage.folder / "group_vars" / "all.yml").write_text("kraken_agent_groups: [gpu]\n")
    imported = stage.folder / "elsewhere"
    imported.mkdir()
    (imported / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [CHECK]}]))
    (stage.folder / "site.yml").write_text(yaml.safe_dump([{"import_playbook": "elsewhere/play.yml"}]))
    done = stage.run(["ansible-playbook", "-i", "inventories/hosts.yml", "site.yml"])
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 0, said
    assert f"{stage.folder}/group_vars/all.yml sets kraken_agent_groups, and this play does not read it" in said


def test_unknown_variables_of_the_play_itself_are_refused(stage: Stage) -> None:
    code, said = play(stage, {"one": {"ansible_host": ONE}}, tasks=[CHECK], vars={"kraken_agent_gruops": ["gpu"]})
    assert code == 2
    assert "variable kraken_agent_gruops: There is no such variable. Did you mean kraken_agent_groups?" in said


def test_variables_of_the_play_and_of_the_role_are_honoured(stage: Stage) -> None:
    for address in (ONE, TWO):
        stage.speak(address)
    role = {
        "role": "kraken_ci.fleet.kraken_registration",
        "vars": {"kraken_agent_groups": ["gpu"], "kraken_agent_enabled": False, "kraken_registration_timeout": 5},
    }
    hosts: dict[str, dict[str, Any]] = {
        "one": {"ansible_host": ONE, "kraken_agent_groups": ["own"]},
        "two": {"ansible_host": TWO},
    }
    code, said = play(stage, hosts, roles=[role], vars={"kraken_agent_groups": ["everywhere"]})
    assert code == 0, said
    agents = stage.agents()
    # The more specific `vars:` replaces the other one, as in all of Ansible; the levels of the inventory add up.
    assert {address: agent.group_names - {"all"} for address, agent in agents.items()} == {
        ONE: {"own", "gpu"},
        TWO: {"gpu"},
    }
    assert {agent.enabled for agent in agents.values()} == {False}


def test_a_default_of_a_role_is_not_what_somebody_has_said(stage: Stage) -> None:
    """The role kraken_agent has an empty list of instances by default; said in the inventory it means: no agent."""
    stage.speak(ONE)
    roles = [
        {"role": "kraken_ci.fleet.kraken_agent", "when": False},
        {"role": "kraken_ci.fleet.kraken_registration", "vars": {"kraken_registration_timeout": 5}},
    ]
    server = {"kraken_server_url": stage.server.url}
    code, said = play(stage, {"one": {"ansible_host": ONE}}, roles=roles, vars=server)
    assert code == 0, said
    assert stage.agents()[ONE].authorized


def test_registration_fills_in_only_what_speaks_of_the_server(stage: Stage) -> None:
    stage.speak(ONE)
    host = {"ansible_host": ONE, "kraken_agent_environment": {"JOBS": "{{ ansible_processor_vcpus }}"}}
    code, said = play(stage, {"one": host}, roles=[{"role": "kraken_ci.fleet.kraken_registration"}])
    assert code == 0, said


def test_doctor_refuses_what_the_deploy_refuses(stage: Stage, tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    host = {"ansible_connection": "local", "ansible_host": ONE, "kraken_agent_drain_seconds": "soon"}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"one": host}, "vars": {"kraken_server_url": "x"}}}))
    done = stage.run(["kraken-fleet", "doctor", "-i", str(inventory), "--json"])
    assert done.returncode == 1, done.stdout
    assert "kraken_doctor" not in done.stdout
    message = json.loads(done.stdout)["error"]["message"]
    assert "host one, variable kraken_agent_drain_seconds: 'soon' is not a whole number" in message


def test_hosts_that_will_take_no_update_are_named_before_anything_is_done(stage: Stage) -> None:
    follows = {"kraken_agent_update": "server", "kraken_server_url": "http://k.example:6363"}
    hosts: dict[str, dict[str, Any]] = {
        "one": {"ansible_host": ONE, **follows},
        "two": {"ansible_host": TWO, **follows, "kraken_agent_update_sha256": ["0" * 64, "1" * 64]},
    }
    code, said = play(stage, hosts, tasks=[CHECK])
    words = " ".join(said.split())
    assert code == 0
    assert (
        "one: kraken_agent_update is server, and http://k.example:6363 is not https: kraken-fleet's own agent" in words
    )
    assert "Use an https address, or name the files' SHA-256 sums with kraken_agent_update_sha256" in words
    assert "two: kraken_agent_update" not in words


def test_a_template_is_filled_in_wherever_it_stands_in_a_value(stage: Stage) -> None:
    hosts: dict[str, dict[str, Any]] = {
        "one": {"ansible_host": ONE, "kraken_agent_environment": {"A": "plain", "B": "{{ nobody }}"}},
        "two": {"ansible_host": TWO, "kraken_agent_extra_groups": ["docker", "{% if nobody %}lxd{% endif %}"]},
    }
    code, said = play(stage, hosts, tasks=[CHECK])
    assert code == 2
    assert "host one, variable kraken_agent_environment: It cannot be filled in" in said
    assert "host two, variable kraken_agent_extra_groups: It cannot be filled in" in said
