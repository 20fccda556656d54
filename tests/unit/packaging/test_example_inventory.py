"""The example inventory is right, and says what its README says."""

from __future__ import annotations

from pathlib import Path

from kraken_fleet.inventory import load

EXAMPLE = Path(__file__).resolve().parents[3] / "inventories" / "example"


def test_the_example_is_the_fleet_that_its_readme_tells() -> None:
    fleet = load([EXAMPLE], resolve=lambda name: f"192.0.2.{sum(name.encode()) % 250}")
    agents = {agent.label: agent for agent in fleet.agents}
    assert len(agents) == 10
    assert len({agent.host for agent in fleet.agents}) == 9
    assert agents["ber-gpu-02"].groups == {"gpu", "linux", "berlin", "gpu-a100"}
    assert agents["ber-gpu-02"].address == "192.0.2.42"
    assert agents["osl-arm-01/two"].groups == {"arm64", "linux", "oslo", "arm64-nightly"}
    assert agents["ber-build-01"].groups == {"build", "linux", "berlin"}
