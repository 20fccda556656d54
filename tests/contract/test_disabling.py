"""Who disabled agents, why and until when: kept on the server, shown, and undone in time."""

from __future__ import annotations

from datetime import timedelta

from kraken_fleet.model import DesiredAgent, DesiredFleet, Disabling
from kraken_fleet.plan import Finding, RenameGroup, make_plan
from kraken_fleet.reconcile import cancel_jobs, change_groups, disable, disabling, drain, enable, observe, reconcile
from tests.contract.hand_agents import ECHO, HandAgents
from tests.unique_names import unique_name
from tests.waiting import eventually


def _groups_about(hand_agents: HandAgents, note: str) -> list[str]:
    return [group.name for group in hand_agents.client.groups() if note in group.name]


def test_it_is_kept_with_the_agent_until_that_is_enabled(hand_agents: HandAgents) -> None:
    workflow, client, note = hand_agents.workflow(), hand_agents.client, unique_name("disk")
    agent = client.agent(workflow.agent_id)
    why = disabling(client, "anna", note, client.server_time() + timedelta(hours=2))
    (event,) = disable(client, [agent], why=why)
    assert (event.subject, event.state) == (agent.name, "disabled")  # type: ignore[attr-defined]
    found = next(one for one in client.agents() if one.id == agent.id)
    assert found.disabled
    assert found.disabling == Disabling.parse(why.group_name)
    assert found.group_names == agent.group_names
    list(enable(client, [found]))
    found = client.agent(agent.id)
    assert (found.enabled, found.disabling) == (True, None)
    assert {ref.id for ref in found.groups} == {ref.id for ref in agent.groups}
    assert _groups_about(hand_agents, note) == []


def test_the_last_word_counts_and_the_earlier_group_goes(hand_agents: HandAgents) -> None:
    workflow, client = hand_agents.workflow(), hand_agents.client
    first, last = unique_name("first"), unique_name("last")
    list(disable(client, [client.agent(workflow.agent_id)], why=disabling(client, "anna", first)))
    why = disabling(client, "bert", last)
    list(drain(client, [client.agent(workflow.agent_id)], 30, why=why))
    found = client.agent(workflow.agent_id).disabling
    assert found
    assert (found.by, found.note) == ("bert", last)
    assert len(_groups_about(hand_agents, last)) == 1
    list(enable(client, [client.agent(workflow.agent_id)]))


def test_a_plan_tells_of_it_and_gives_the_agent_back_in_time(hand_agents: HandAgents) -> None:
    workflow, client, note = hand_agents.workflow(), hand_agents.client, unique_name("disk")
    wanted = DesiredAgent("a", workflow.address, frozenset({workflow.group}), enabled=True)
    fleet = DesiredFleet((wanted,), complete=False)
    end = client.server_time() + timedelta(seconds=60)
    list(disable(client, [client.agent(workflow.agent_id)], why=disabling(client, "anna", note, end)))
    before = make_plan(fleet, observe(client), now=client.server_time())
    # Of groups whose name a deleted one has too, each plan renames one; other tests have such groups.
    assert [action for action in before.actions if not isinstance(action, RenameGroup)] == []
    (finding,) = [one for one in before.findings if one.kind == "disabled"]
    assert (finding.subject, finding.severity) == ("a", "info")
    assert note in finding.message
    assert isinstance(finding, Finding)
    list(reconcile(client, fleet, now=lambda: end + timedelta(seconds=1)))
    found = client.agent(workflow.agent_id)
    assert (found.enabled, found.disabling) == (True, None)
    assert _groups_about(hand_agents, note) == []


def test_agents_change_groups_and_keep_all_and_what_is_not_spoken_of(hand_agents: HandAgents) -> None:
    workflow, client = hand_agents.workflow(), hand_agents.client
    agent, other = client.agent(workflow.agent_id), client.create_group(unique_name("other"))
    mine = next(group for group in client.groups() if group.name == workflow.group)
    list(change_groups(client, [agent], add=[other]))
    assert client.agent(agent.id).group_names == {"all", mine.name, other.name}
    (event,) = change_groups(client, [agent], add=[other], remove=[mine])
    assert event.state == f"in all, {other.name}"  # type: ignore[attr-defined]
    list(change_groups(client, [agent], only=[mine]))
    assert client.agent(agent.id).group_names == {"all", mine.name}
    client.delete_group(other.id)


def test_a_job_that_waits_is_cancelled_and_a_second_time_nothing_happens(hand_agents: HandAgents) -> None:
    workflow, client = hand_agents.workflow(), hand_agents.client
    workflow.run([ECHO])
    workflow.take_job()
    path = f"/runs/{workflow.run([ECHO])}/jobs"
    number = int(eventually(lambda: hand_agents.server.api("GET", path).body["items"], bool)[0]["id"])
    events = list(cancel_jobs(client, [client.job(number)], wait=60))
    assert [event.state for event in events] == ["cancelled", "over"]  # type: ignore[attr-defined]
    assert list(cancel_jobs(client, [client.job(number)], wait=60)) == []
