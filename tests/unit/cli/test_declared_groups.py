"""Groups whose agents Kraken makes, by the commands and by a play: what they say, and what they never say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from kraken_fleet.api import KrakenClient
from tests.unit.cli.planned_fleet import INVENTORY, Ask, Run

SECRET = "echo hunter2"
GROUPS = [
    {
        "name": "spot",
        "deployment": {
            "method": "aws",
            "aws": {"region": "eu-1", "default_image": "ami-1", "instance_type": "c7i.large", "init_script": SECRET},
        },
    }
]


@pytest.fixture
def declared(tmp_path: Path) -> str:
    content = yaml.safe_load(INVENTORY)
    content["kraken_agents"]["vars"] = {"kraken_registration_groups": GROUPS}
    path = tmp_path / "declared.yml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_nothing_that_is_said_or_kept_has_the_secret(
    client: KrakenClient, declared: str, run: Run, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRAKEN_FLEET_AUDIT_LOG", str(tmp_path / "audit.log"))
    saved = tmp_path / "plan.json"
    said = [
        *run("plan", "-i", declared, "--out", str(saved)),
        *run("plan", "-i", declared, "--json"),
        *run("apply", str(saved)),
        *run("apply", str(saved), "-i", declared),
        *run("reconcile", "-i", declared, "--json"),
        *run("groups", "list"),
        *run("groups", "list", "--json"),
        *run("plan", "-i", declared.replace("eu-1", "eu-2")),
    ]
    assert any("init_script (hidden)" in str(text) for text in said)
    assert "hunter2" not in " ".join(map(str, said))
    (group,) = [group for group in client.groups() if group.name == "spot"]
    assert group.deployment
    assert group.deployment.secrets()["init_script"].reveal() == SECRET, "the server has it"
    kept = [path.read_text(encoding="utf-8", errors="replace") for path in (saved, tmp_path / "audit.log")]
    kept += [path.read_text(errors="replace") for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert not [text for text in kept if "hunter2" in text]
    lines = [json.loads(line) for line in kept[1].splitlines()]
    ((targets, details),) = [(one["targets"], one["details"]) for one in lines if "deployment" in one["action"]]
    assert (targets, details) == (["spot"], {"method": "aws"})


def test_a_saved_plan_with_a_secret_needs_the_inventory(
    client: KrakenClient, declared: str, run: Run, tmp_path: Path
) -> None:
    saved = str(tmp_path / "plan.json")
    assert run("plan", "-i", declared, "--out", saved)[0] == 2
    code, _, err = run("apply", saved)
    assert code == 1
    assert "init_script of the agents group spot" in err
    assert "-i" in err
    assert [group.name for group in client.groups()] == ["all"]
    assert run("apply", saved, "-i", declared)[0] == 0
    assert run("plan", "-i", declared)[0] == 0


def test_the_list_of_groups_tells_who_makes_the_agents(client: KrakenClient, declared: str, run: Run, ask: Ask) -> None:
    run("apply", "-i", declared)
    assert "aws" in run("groups", "list")[1]
    (spot,) = [group for group in ask("groups", "list") if group["name"] == "spot"]
    assert spot["deployment"]["method"] == "aws"
    assert ["init_script", "(hidden)"] in spot["deployment"]["settings"]


def test_a_field_that_does_not_exist_is_named_with_its_place(declared: str, client: KrakenClient, run: Run) -> None:
    path = Path(declared)
    path.write_text(path.read_text().replace("region:", "regoin:"))
    code, _, err = run("plan", "-i", declared)
    assert code == 1
    assert "kraken_registration_groups[0].deployment.aws" in err
    assert "did you mean region?" in err
    assert "hunter2" not in err
