"""Agents groups that an inventory declares by themselves: what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kraken_fleet.collection import variables
from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import fleet_from_hostvars, load, problems_of_host
from kraken_fleet.model import DesiredGroup, Secret
from kraken_fleet.model.deployment import METHODS, SECRET_SETTINGS, SETTINGS

VARIABLE = "kraken_registration_groups"
AWS = {"region": "eu-1", "default_image": "ami-1", "instance_type": "c7i.large"}
SECRET = "echo hunter2"


def _spot(**deployment: Any) -> dict[str, Any]:
    return {"name": "spot", "deployment": {"method": "aws", "aws": AWS, **deployment}}


def _groups(*entries: object, host: str = "a") -> tuple[DesiredGroup, ...]:
    return fleet_from_hostvars({host: {"ansible_host": "10.0.0.1", VARIABLE: list(entries)}}, {}).declared_groups


def test_settings_become_the_types_that_kraken_reads() -> None:
    (group,) = _groups(_spot(aws={**AWS, "instances_limit": "7", "spot_instance": "yes", "init_script": SECRET}))
    assert group.deployment
    assert dict(group.deployment.settings) == {
        **AWS,
        "instances_limit": 7,
        "spot_instance": True,
        "init_script": Secret(SECRET),
    }
    assert SECRET not in repr(group)


def test_the_specification_and_the_model_know_the_same_methods_and_settings() -> None:
    options = variables()[VARIABLE]["options"]["deployment"]["options"]
    assert set(options["method"]["choices"]) == set(METHODS) == set(SETTINGS)
    told = {name: set(option["options"]) for name, option in options.items() if name != "method"}
    assert told == {name: settings for name, settings in SETTINGS.items() if settings}
    secret = {
        name for part in options.values() for name, option in part.get("options", {}).items() if option.get("no_log")
    }
    assert secret == SECRET_SETTINGS


@pytest.mark.parametrize(
    ("entry", "place", "said"),
    [
        ({}, "[0]", "has no name"),
        ({"name": "x", "colour": 1}, "[0]", "'colour' is not one of name, deployment"),
        (_spot(gcp={}), "[0].deployment", "'gcp' is not one of"),
        (_spot(method="gcp"), "[0].deployment.method", "'gcp' is not one of manual, aws"),
        (_spot(aws={**AWS, "regoin": "x"}), "[0].deployment.aws", "did you mean region?"),
        (_spot(aws={"region": "eu-1"}), "[0].deployment.aws", "has no default_image"),
        (_spot(aws={**AWS, "disk_size": "large"}), "[0].deployment.aws.disk_size", "'large' is not a whole number"),
        (_spot(aws={**AWS, "monitoring": "perhaps"}), "[0].deployment.aws.monitoring", "is not yes or no"),
        (_spot(aws=None), "[0].deployment.aws", "its settings are missing"),
        (_spot(kubernetes={"instances_limit": 1}), "[0].deployment.kubernetes", "these are settings of kubernetes"),
        ({"name": "all"}, "[0].name", "belongs to the server"),
        ({"name": "kraken-fleet-verify-1"}, "[0].name", "kraken-fleet's own groups"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(entry: dict[str, Any], place: str, said: str) -> None:
    found = list(problems_of_host("a", {VARIABLE: [entry]}))
    assert [problem.variable for problem in found if said in problem.message] == [VARIABLE + place], found
    with pytest.raises(InventoryError):
        _groups(entry)


@pytest.mark.parametrize(
    "value",
    [
        {"spot": _spot(aws={**AWS, "init_script": SECRET})},
        [_spot(aws={**AWS, "init_script": [SECRET]})],
        [_spot(aws={"init_script": SECRET})],
        [{"deployment": {"method": "aws", "aws": {**AWS, "init_script": SECRET}}}],
        [_spot(aws=[SECRET])],
        [_spot(aws={**AWS, "init_script": SECRET, "disk_size": "x"}), _spot()],
    ],
)
def test_a_message_about_a_wrong_value_has_no_secret(value: object) -> None:
    found = list(problems_of_host("a", {VARIABLE: value}))
    assert found
    assert all(SECRET not in f"{problem} {problem.hint}" for problem in found)


@pytest.mark.parametrize(
    "value", ["name=spot", ["name=spot"], [{"name": "spot", "deployment": "method=aws"}], [_spot(aws="region=x")]]
)
def test_texts_that_ansible_takes_for_dictionaries_are_refused(value: object) -> None:
    (problem,) = problems_of_host("a", {VARIABLE: value})
    assert problem.variable == VARIABLE
    assert "list of groups" in problem.message


def test_two_groups_of_one_name_are_refused() -> None:
    with pytest.raises(InventoryError, match="Two groups are called 'spot'"):
        _groups(_spot(), {"name": "spot"})


def test_hosts_that_disagree_are_refused() -> None:
    hosts = {
        "a": {"ansible_host": "10.0.0.1", VARIABLE: [_spot()]},
        "b": {"ansible_host": "10.0.0.2", VARIABLE: [{"name": "other"}, {"name": "spot"}]},
    }
    with pytest.raises(InventoryError, match="Host a says something else of the agents group spot") as caught:
        fleet_from_hostvars(hosts, {})
    assert (caught.value.host, caught.value.variable) == ("b", VARIABLE)


def test_a_host_in_a_group_whose_agents_kraken_makes_is_refused() -> None:
    host = {"ansible_host": "10.0.0.1", "kraken_agent_groups": ["spot"], VARIABLE: [_spot()]}
    with pytest.raises(InventoryError, match="Kraken would delete the agent of this host") as caught:
        fleet_from_hostvars({"a": host}, {})
    assert caught.value.host == "a"
    manual = {**host, VARIABLE: [{"name": "spot", "deployment": {"method": "manual"}}]}
    assert fleet_from_hostvars({"a": manual}, {}).groups == {"spot"}


def test_templates_and_vaults_in_deployments_are_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible.parsing.vault import VaultLib, VaultSecret

    vault = VaultLib([("default", VaultSecret(b"open sesame"))])
    locked = vault.encrypt(SECRET).decode().replace("\n", "\n            ")
    (tmp_path / "hosts.yml").write_text(
        f"""
kraken_agents:
  hosts: {{a: {{ansible_host: 10.0.0.1}}, b: {{ansible_host: 10.0.0.2}}}}
  vars:
    where: eu-1
    {VARIABLE}:
    - name: spot
      deployment:
        method: aws
        aws:
          region: "{{{{ where }}}}"
          default_image: ami-1
          instance_type: c7i.large
          init_script: !vault |
            {locked}
"""
    )
    (tmp_path / "password").write_text("open sesame")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(tmp_path / "password"))
    (group,) = load([tmp_path / "hosts.yml"]).declared_groups
    assert group.deployment
    assert group.deployment.plain() == AWS
    assert group.deployment.secrets()["init_script"].reveal() == SECRET


def test_a_template_that_cannot_be_filled_in_is_told_without_a_secret(tmp_path: Path) -> None:
    import yaml

    entry = _spot(aws={**AWS, "region": "{{ nowhere }}", "init_script": SECRET})
    host = {"ansible_host": "10.0.0.1", VARIABLE: [entry]}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"kraken_agents": {"hosts": {"a": host}}}))
    with pytest.raises(InventoryError, match="nowhere") as caught:
        load([tmp_path / "hosts.yml"])
    assert SECRET not in f"{caught.value} {caught.value.hint}"
