"""Groups whose agents Kraken makes in a cloud, on a real embedded server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kraken_fleet.errors import PlanError, UnsafeChangeError
from kraken_fleet.model import Deployment, DesiredFleet, DesiredGroup
from kraken_fleet.plan import PlanPolicy, SetDeployment, make_plan, plan_from_json, plan_to_json
from kraken_fleet.reconcile import apply_saved, observe, reconcile
from tests.unit.reconcile.lab import Lab, kinds

SECRET = "echo hunter2"
AWS = {"region": "eu-1", "instance_type": "c7i.large", "default_image": "ami-1", "spot_instance": True}


def _fleet(**more: object) -> DesiredFleet:
    deployment = Deployment.of("aws", {**AWS, "init_script": SECRET, **more})
    return DesiredFleet(declared_groups=(DesiredGroup("spot", deployment), DesiredGroup("bare")))


def _sent(lab: Lab, name: str = "spot") -> dict[str, object]:
    """Returns what the server answers of a group's deployment."""
    number = next(group.id for group in lab.client.groups() if group.name == name)
    found: dict[str, object] = lab.raw("GET", f"/api/groups/{number}")["deployment"]
    return found


def test_a_group_is_made_and_set_up_and_then_there_is_nothing_to_do(lab: Lab) -> None:
    assert kinds(reconcile(lab.client, _fleet()))[-1] == "finished"
    kept = _sent(lab)
    assert kept["method"] == 2
    assert kept["aws"] == {
        **AWS,
        "init_script": SECRET,
        "destruction_after_jobs": 1,
        "destruction_after_time": 30,
        "disk_size": 0,
        "instances_limit": 5,
    }
    assert _sent(lab, "bare")["method"] == 0
    lab.requests.clear()
    assert kinds(reconcile(lab.client, _fleet())) == ["planned"]
    assert lab.writes == []


def test_what_the_inventory_does_not_name_stays_as_the_server_has_it(lab: Lab) -> None:
    group = lab.client.create_group("spot")
    known = {
        "method": 2,
        "aws": {**AWS, "disk_size": 40, "of_a_newer_server": [1]},
        "kubernetes": {"instances_limit": 9},
    }
    lab.raw("PUT", f"/api/groups/{group.id}", {"deployment": known})
    list(reconcile(lab.client, _fleet(region="eu-2")))
    kept = _sent(lab)
    assert kept["kubernetes"] == {"instances_limit": 9}
    aws = kept["aws"]
    assert isinstance(aws, dict)
    assert (aws["region"], aws["disk_size"], aws["of_a_newer_server"]) == ("eu-2", 40, [1])


def test_a_saved_plan_has_no_secret_and_takes_it_from_the_inventory(lab: Lab) -> None:
    wanted = _fleet()
    made = make_plan(wanted, observe(lab.client), now=lab.client.server_time(), server=lab.client.url)
    text = plan_to_json(made)
    assert "hunter2" not in text
    with pytest.raises(PlanError, match="sets init_script of the agents group spot, and holds no secret"):
        list(apply_saved(lab.client, plan_from_json(text)))
    assert lab.writes == [], "nothing was done before the refusal"
    list(apply_saved(lab.client, plan_from_json(text), desired=wanted))
    aws = _sent(lab)["aws"]
    assert isinstance(aws, dict)
    assert aws["init_script"] == SECRET


def test_a_plan_is_stale_when_somebody_has_changed_the_deployment(lab: Lab) -> None:
    list(reconcile(lab.client, _fleet()))
    plan = make_plan(_fleet(region="eu-2"), observe(lab.client), now=lab.client.server_time(), server=lab.client.url)
    group = next(group for group in lab.client.groups() if group.name == "spot")
    lab.client.set_deployment(group.id, Deployment.of("aws", {"region": "eu-3"}))
    with pytest.raises(PlanError, match="The server has changed"):
        list(apply_saved(lab.client, plan))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "all"}, "Kraken would delete all agents then"),
        ({"name": "other"}, "the plan is about no such group"),
        ({"method": "gcp"}, "there is no such method"),
    ],
)
def test_a_plan_with_a_forged_deployment_is_refused(lab: Lab, change: dict[str, str], said: str) -> None:
    made = make_plan(_fleet(), observe(lab.client), now=lab.client.server_time(), server=lab.client.url)
    given: dict[str, Any] = dict(change)
    forged = [replace(action, **given) if isinstance(action, SetDeployment) else action for action in made.actions]
    with pytest.raises(PlanError, match=said):
        list(apply_saved(lab.client, replace(made, actions=tuple(forged)), policy=PlanPolicy()))
    assert lab.writes == []


def test_the_group_all_gets_no_deployment(lab: Lab) -> None:
    with pytest.raises(UnsafeChangeError, match="all"):
        lab.client.set_deployment(1, Deployment.of("kubernetes", {"instances_limit": 3}))
    assert lab.writes == []


def test_a_server_that_says_nothing_of_deployments_can_still_be_read(lab: Lab) -> None:
    group = lab.client.create_group("odd")
    lab.raw("PUT", f"/api/groups/{group.id}", {"deployment": {"method": 77, "aws": {}}})
    found = {group.name: group for group in lab.client.groups()}
    assert found["odd"].deployment is None
    assert not found["odd"].by_kraken
