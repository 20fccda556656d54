"""A job for each group in one run, and its log read back; every way in which that can fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.errors import ServerFaultError, VerificationError
from kraken_fleet.proof.groups import GroupProof, require_proofs, verify_groups
from kraken_fleet.proof.stage import stage_code
from tests.fake_clock import FakeClock
from tests.unit.api.recorded import PASSWORD, Reply
from tests.unit.proof.proof_server import ProofServer


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRAKEN_FLEET_STATE_DIR", str(tmp_path))


@pytest.fixture
def server() -> Iterator[ProofServer]:
    one = ProofServer()
    one.agents_of = {"gpu": "10.0.0.1", "big": "10.0.0.2", "all": "10.0.0.3"}
    yield one
    one.stop()


@pytest.fixture
def client(server: ProofServer) -> Iterator[KrakenClient]:
    with KrakenClient(server.url, PasswordCredentials("admin", PASSWORD)) as one:
        yield one


def _verify(client: KrakenClient, *groups: str, timeout: float = 30.0) -> dict[str, GroupProof]:
    return {
        proof.group: proof for proof in verify_groups(client, groups, timeout=timeout, clock=FakeClock(), marker="n1")
    }


def _writes(server: ProofServer) -> list[str]:
    return [f"{one.method} {one.path}" for one in server.requests if one.method != "GET" and one.path != "/sessions"]


def test_each_group_is_proven_by_the_line_its_agent_printed(server: ProofServer, client: KrakenClient) -> None:
    proofs = _verify(client, "gpu", "all", "gpu")
    assert set(proofs) == {"gpu", "all"}
    assert all(proof.proven and proof.error is None for proof in proofs.values())
    assert [proofs["gpu"].agent, proofs["gpu"].log_line] == ["10.0.0.1", "kraken-fleet-proof-n1"]
    assert 0 < proofs["gpu"].seconds < 2


def test_the_first_time_creates_what_is_missing_and_later_times_one_run_each(
    server: ProofServer, client: KrakenClient
) -> None:
    created = ["POST /projects", "POST /projects/1/branches", "POST /branches/1/stages"]
    _verify(client, "gpu", "big")
    assert _writes(server) == [*created, "POST /branches/1/flows/ci"]
    server.requests.clear()
    _verify(client, "gpu", "big")
    assert _writes(server) == ["PUT /stages/4", "POST /branches/1/flows/ci"]


def test_the_agent_naming_the_command_is_no_proof(server: ProofServer, client: KrakenClient) -> None:
    server.silent = {"gpu"}
    proof = _verify(client, "gpu")["gpu"]
    assert proof.failure == "the job succeeded on 10.0.0.1, but its log has not come after 20 s"
    assert "UDP" in str(proof.hint)


def test_a_group_without_agents_says_so_and_the_others_are_proven(server: ProofServer, client: KrakenClient) -> None:
    del server.agents_of["big"]
    proofs = _verify(client, "gpu", "big")
    assert proofs["gpu"].proven
    assert proofs["big"].failure == "there are no agents in group 'big' - add some agents"


def test_a_group_that_is_not_there_is_not_put_into_the_stage(server: ProofServer, client: KrakenClient) -> None:
    proofs = _verify(client, "gpu", "nosuch")
    assert proofs["nosuch"].failure == "there is no such agents group"
    assert proofs["gpu"].proven
    assert "nosuch" not in str(server.stage)


def test_without_a_usable_group_nothing_is_started(server: ProofServer, client: KrakenClient) -> None:
    server.add_group("gpu")
    assert _verify(client, "gpu")["gpu"].failure == "2 agents groups have this name"
    assert _writes(server) == []


def test_a_failed_step_is_told_with_the_last_log_line(server: ProofServer, client: KrakenClient) -> None:
    server.failing = {"gpu"}
    failure = str(_verify(client, "gpu")["gpu"].failure)
    assert failure.startswith("step 1 failed on 10.0.0.1; its last log line: ")


def test_a_job_that_does_not_end_fails_in_time_and_the_run_is_cancelled(
    server: ProofServer, client: KrakenClient
) -> None:
    server.stuck = {"big"}
    proofs = _verify(client, "gpu", "big", timeout=5)
    assert proofs["gpu"].proven
    assert proofs["big"].failure == "the job still runs on 10.0.0.2 after 5 s"
    assert 5 <= proofs["big"].seconds < 7
    assert _writes(server)[-1] == "DELETE /runs/6"


def test_leaving_early_cancels_the_run(server: ProofServer, client: KrakenClient) -> None:
    server.stuck = {"big"}
    proofs = verify_groups(client, ["gpu", "big"], clock=FakeClock())
    assert isinstance(proofs, Iterator)
    assert next(proofs).group == "gpu"
    proofs.close()  # type: ignore[attr-defined]  # it is a generator, which the signature does not promise
    assert _writes(server)[-1] == "DELETE /runs/6"


def test_a_name_that_a_deleted_group_has_too_is_healed_and_the_run_repeated(
    server: ProofServer, client: KrakenClient
) -> None:
    server.add_group("big", deleted="2026-11-23T16:29:57Z")
    server.add_group("newest")
    assert _verify(client, "gpu", "big")["big"].proven
    assert [row["name"] for row in server.groups.values()].count("big") == 1


def test_a_run_made_from_the_stage_of_somebody_else_is_given_up_for_one_of_our_own(
    server: ProofServer, client: KrakenClient
) -> None:
    def interfere(one: ProofServer) -> None:
        one.stage = {"id": 4, "name": "proof", "schema_code": stage_code(["gpu", "big"], "other")}

    server.before_flow = [interfere]
    assert _verify(client, "gpu")["gpu"].proven
    assert _writes(server).count("POST /branches/1/flows/ci") == 2
    assert _writes(server).count("DELETE /runs/6") == 1


def test_a_stage_that_others_keep_changing_is_an_error_after_three_attempts(
    server: ProofServer, client: KrakenClient
) -> None:
    def interfere(one: ProofServer) -> None:
        one.stage = {"id": 4, "name": "proof", "schema_code": stage_code(["gpu"], "other")}

    server.before_flow = [interfere] * 3
    with pytest.raises(VerificationError, match="made no jobs for gpu"):
        _verify(client, "gpu")


def test_the_name_of_a_deleted_project_is_left_to_it(server: ProofServer, client: KrakenClient) -> None:
    server.refused_projects = {"kraken-fleet"}
    assert _verify(client, "gpu")["gpu"].proven
    assert [project["name"] for project in server.projects] == ["kraken-fleet-2"]
    server.requests.clear()
    _verify(client, "gpu")
    assert "POST /projects" not in _writes(server)


def test_no_name_for_the_project_left(server: ProofServer, client: KrakenClient) -> None:
    server.refused_projects = {"kraken-fleet", "kraken-fleet-2", "kraken-fleet-3"}
    with pytest.raises(VerificationError, match="None of the projects"):
        _verify(client, "gpu")


def test_a_log_store_that_cannot_be_read_now_is_asked_again(server: ProofServer, client: KrakenClient) -> None:
    server.script("GET", "/jobs/100/logs", Reply(500), Reply(500))
    assert _verify(client, "gpu")["gpu"].proven


def test_a_server_that_fails_is_not_taken_for_a_failed_group(server: ProofServer, client: KrakenClient) -> None:
    server.script("POST", "/branches/1/flows/ci", Reply(500))
    with pytest.raises(ServerFaultError):
        _verify(client, "gpu")


def test_requiring_proofs_names_each_group_that_failed() -> None:
    good = GroupProof("gpu", 1, "a", 1.0, "line")
    assert require_proofs([good]) == (good,)
    with pytest.raises(VerificationError, match=r"1 of 2 agents groups .* \(big: no agents\)"):
        require_proofs([good, GroupProof("big", failure="no agents", hint="add some")])


def test_an_error_of_one_group_says_where_and_what_next() -> None:
    error = GroupProof("big", failure="no agents", hint="Add some").error
    assert str(error) == "agents group big: no agents. Add some"


@pytest.mark.parametrize("group", ["it's", 'say "x"', "a\\nb", "ü 字", "x" * 200, "}]"])
def test_any_name_of_a_group_survives_in_the_stage(group: str) -> None:
    names: dict[str, object] = {}
    exec(stage_code([group, "other"], "n"), names)  # noqa: S102 - it is our own code
    jobs = names["stage"](None)["jobs"]  # type: ignore[operator]  # what exec defined has no type
    assert [job["name"] for job in jobs] == [group, "other"]
    assert jobs[0]["environments"][0]["agents_group"] == group
