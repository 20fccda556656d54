"""Groups whose agents Kraken makes, declared in the inventory of a play."""

from __future__ import annotations

import sys
from typing import Any

import yaml

from tests.unit.plugins.task_runs import Stage

ONE = "127.0.0.41"
SECRET = "echo hunter2"
SPOT = {
    "name": "spot",
    "deployment": {
        "method": "aws",
        "aws": {
            "region": "{{ place }}",
            "default_image": "ami-1",
            "instance_type": "c7i.large",
            "init_script": "{{ secret_script }}",
        },
    },
}


def _play(stage: Stage, groups: list[dict[str, Any]], *options: str) -> tuple[int, str]:
    book, inventory = stage.folder / "book.yml", stage.folder / "hosts.yml"
    variables = {"place": "eu-1", "secret_script": SECRET, "kraken_registration_groups": groups}
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {"one": {"ansible_host": ONE, **local}}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": variables}}))
    roles = [{"role": "kraken_ci.fleet.kraken_registration", "vars": {"kraken_registration_timeout": 5}}]
    check: list[dict[str, Any]] = [{"kraken_ci.fleet.validate_inventory": {}}]
    book.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "pre_tasks": check, "roles": roles}]))
    command = ["ansible-playbook", "--diff", "-vvv", *options, "-i", str(inventory), str(book)]
    done = stage.run(command, KRAKEN_FLEET_STATE_DIR=str(stage.folder / "state"))
    return done.returncode, done.stdout + done.stderr


def test_a_play_sets_a_deployment_once_and_says_nothing_of_the_secret(stage: Stage) -> None:
    stage.speak(ONE)
    for option, changed in (["--check"], True), ([], True), ([], False):
        code, said = _play(stage, [SPOT], *option)
        assert code == 0, said
        assert ("deployment of agents group spot: method aws" in said) is changed, said
        assert "hunter2" not in said
    with stage.client as client:
        (group,) = [group for group in client.groups() if group.name == "spot"]
    assert group.deployment
    assert group.deployment.plain()["region"] == "eu-1"
    assert group.deployment.secrets()["init_script"].reveal() == SECRET
    kept = [path for path in (stage.folder / "state").rglob("*") if path.is_file()]
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]


def test_a_wrong_declaration_stops_a_play_before_anything_is_done(stage: Stage) -> None:
    stage.speak(ONE)
    wrong = {**SPOT, "deployment": {"method": "kubernetes", "kubernetes": {"instances_limit": "many"}}}
    code, said = _play(stage, [wrong])
    assert code == 2
    place = "kraken_registration_groups[0].deployment.kubernetes.instances_limit"
    assert f"variable {place}: 'many' is not a whole number" in said
    assert not stage.agents()[ONE].authorized
