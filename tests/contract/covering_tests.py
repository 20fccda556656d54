"""Which test stands for what kraken-fleet says to a server: one where it succeeds, and one where it is refused.

test_coverage.py compares this with the source, and each test that is named here is held to it while it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

COVERING_TESTS = {
    "DELETE /agents/{}": (
        "test_deleted_agents.py::test_a_deleted_agent_is_off_the_lists_but_its_id_answers",
        "test_agents.py::test_changing_an_unknown_agent[DELETE]",
    ),
    "DELETE /groups/{}": (
        "test_groups.py::test_a_deleted_group_is_off_the_list_but_its_id_answers",
        "test_groups.py::test_an_unknown_group[DELETE]",
    ),
    "DELETE /jobs/{}": (
        "test_job.py::test_keep_alive_of_a_running_job_and_of_one_that_was_deleted",
        "test_workflow.py::test_what_does_not_exist[DELETE /jobs/999999999]",
    ),
    "DELETE /runs/{}": (
        "test_workflow.py::test_cancelling_a_run_ends_its_jobs",
        "test_workflow.py::test_what_does_not_exist[DELETE /runs/999999999]",
    ),
    "GET /diagnostics": (
        "test_deleted_agents.py::test_the_diagnostics_tell_when_a_deletion_is_over",
        "test_sessions.py::test_without_a_token_nothing_is_said_or_done[GET /diagnostics]",
    ),
    "GET /agents": (
        "test_agents.py::test_pages_of_agents",
        "test_sessions.py::test_without_a_token_nothing_is_said_or_done[GET /agents]",
    ),
    "GET /agents/{}": (
        "test_agents.py::test_an_agent_exists_after_it_has_spoken",
        "test_agents.py::test_getting_an_unknown_agent",
    ),
    "GET /agents/{}/jobs": (
        "test_job.py::test_the_agent_shows_the_job_it_runs_and_the_jobs_it_ran",
        "test_sessions.py::test_without_a_token_nothing_is_said_or_done[GET /agents/1/jobs]",
    ),
    "GET /branches/{}/cfg": (
        "test_workflow.py::test_a_branch_shows_its_stages",
        "test_workflow.py::test_what_does_not_exist[GET /branches/999999999/cfg]",
    ),
    "GET /branches/{}/flows/{}": (
        "test_workflow.py::test_the_flows_of_a_branch_come_newest_first_with_their_runs",
        "test_workflow.py::test_what_does_not_exist[GET /branches/999999999/flows/ci]",
    ),
    "GET /flows/{}": (
        "test_workflow.py::test_a_flow_its_runs_and_their_jobs_can_be_followed",
        "test_workflow.py::test_what_does_not_exist[GET /flows/999999999]",
    ),
    "GET /flows/{}/runs": (
        "test_workflow.py::test_a_flow_its_runs_and_their_jobs_can_be_followed",
        "test_workflow.py::test_what_does_not_exist[GET /flows/999999999/runs]",
    ),
    "GET /groups": (
        "test_groups.py::test_groups_come_in_pages_of_ten",
        "test_sessions.py::test_without_a_token_nothing_is_said_or_done[GET /groups]",
    ),
    "GET /groups/{}": (
        "test_groups.py::test_a_new_group_is_listed_and_can_be_read",
        "test_groups.py::test_an_unknown_group[GET]",
    ),
    "GET /install/{}": (
        "test_settings.py::test_the_windows_installer_names_this_servers_addresses",
        "test_settings.py::test_an_unknown_install_file",
    ),
    "GET /jobs/{}": (
        "test_workflow.py::test_cancelling_a_run_ends_its_jobs",
        "test_workflow.py::test_what_does_not_exist[GET /jobs/999999999]",
    ),
    "GET /jobs/{}/logs": (
        "test_workflow.py::test_log_lines_that_an_agent_sent_can_be_read_in_order",
        "test_workflow.py::test_what_does_not_exist[GET /jobs/999999999/logs?start=0&limit=10]",
    ),
    "GET /logs": (
        "test_workflow.py::test_the_whole_log_can_be_asked_about_a_job_or_an_agent",
        "test_workflow.py::test_what_does_not_exist[GET /logs?start=0&limit=10&agent_id=999999999]",
    ),
    "GET /projects": (
        "test_workflow.py::test_a_project_is_created_once",
        "test_sessions.py::test_without_a_token_nothing_is_said_or_done[GET /projects]",
    ),
    "GET /runs/{}": (
        "test_workflow.py::test_a_flow_its_runs_and_their_jobs_can_be_followed",
        "test_workflow.py::test_what_does_not_exist[GET /runs/999999999]",
    ),
    "GET /runs/{}/jobs": (
        "test_workflow.py::test_a_flow_its_runs_and_their_jobs_can_be_followed",
        "test_workflow.py::test_what_does_not_exist[GET /runs/999999999/jobs]",
    ),
    "GET /settings": (
        "test_settings.py::test_an_administrator_reads_every_setting",
        "test_settings.py::test_others_get_the_public_part_even_with_a_bad_token[None]",
    ),
    "GET /systems": (
        "test_settings.py::test_any_is_among_the_systems",
        "test_settings.py::test_any_is_among_the_systems",
    ),
    "GET /users": (
        "test_sessions.py::test_a_user_is_found_by_name_with_its_role",
        "test_sessions.py::test_without_a_token_nothing_is_said_or_done[GET /users]",
    ),
    "GET /users/{}": (
        "test_sessions.py::test_a_user_is_found_by_name_with_its_role",
        "test_sessions.py::test_without_a_token_nothing_is_said_or_done[GET /users/1]",
    ),
    "GET /version": (
        "test_sessions.py::test_the_version_needs_a_token",
        "test_sessions.py::test_the_version_needs_a_token",
    ),
    "PATCH /agents": (
        "test_agents.py::test_several_are_authorized_at_once",
        "test_agents.py::test_one_unknown_id_and_nothing_is_changed",
    ),
    "POST /branches/{}/flows/{}": (
        "test_workflow.py::test_a_flow_its_runs_and_their_jobs_can_be_followed",
        "test_workflow.py::test_what_does_not_exist[POST /branches/999999999/flows/ci]",
    ),
    "POST /branches/{}/stages": (
        "test_workflow.py::test_a_stage_comes_back_with_its_schema",
        "test_workflow.py::test_a_stage_may_not_name_an_unknown_group",
    ),
    "POST /groups": (
        "test_groups.py::test_a_new_group_is_listed_and_can_be_read",
        "test_groups.py::test_a_taken_name_is_refused",
    ),
    "POST /projects": (
        "test_workflow.py::test_a_project_is_created_once",
        "test_workflow.py::test_a_project_is_created_once",
    ),
    "POST /projects/{}/branches": (
        "test_workflow.py::test_a_branch_belongs_to_its_project",
        "test_workflow.py::test_what_does_not_exist[POST /projects/999999999/branches]",
    ),
    "POST /sessions": (
        "test_sessions.py::test_after_log_out_the_token_is_refused",
        "test_sessions.py::test_a_body_that_is_not_json_is_refused",
    ),
    "PUT /agents/{}": (
        "test_groups.py::test_assigning_replaces_the_whole_set",
        "test_agents.py::test_changing_an_unknown_agent[PUT]",
    ),
    "PUT /groups/{}": (
        "test_groups.py::test_renaming",
        "test_groups.py::test_an_unknown_group[PUT]",
    ),
    "PUT /settings": (
        "test_settings.py::test_a_part_is_changed_and_the_whole_comes_back",
        "test_settings.py::test_a_group_that_is_no_object_is_refused",
    ),
    "PUT /stages/{}": (
        "test_workflow.py::test_a_stage_changes_its_schema_and_keeps_it_when_the_new_one_is_refused",
        "test_workflow.py::test_a_stage_changes_its_schema_and_keeps_it_when_the_new_one_is_refused",
    ),
    "message dispatch-tests": (
        "test_job.py::test_tests_are_dispatched_once_and_their_results_taken",
        "test_agent_endpoint.py::test_reports_without_a_job_and_unknown_messages_are_ignored[dispatch-tests]",
    ),
    "message get-job": (
        "test_job.py::test_a_job_comes_to_the_agent_of_its_group_and_again_while_it_runs[get-job]",
        "test_agent_endpoint.py::test_nothing_to_do[get-job]",
    ),
    "message get-job-step": (
        "test_job.py::test_a_step_comes_until_it_is_reported_and_the_last_question_ends_the_job",
        "test_agent_endpoint.py::test_the_next_step_of_no_job",
    ),
    "message host-info": (
        "test_agent_endpoint.py::test_host_info_after_authorization_is_kept_and_its_system_listed",
        "test_agent_endpoint.py::test_host_info_with_an_empty_system",
    ),
    "message keep-alive": (
        "test_job.py::test_keep_alive_of_a_running_job_and_of_one_that_was_deleted",
        "test_job.py::test_keep_alive_of_a_running_job_and_of_one_that_was_deleted",
    ),
    "message step-result2": (
        "test_job.py::test_a_step_comes_until_it_is_reported_and_the_last_question_ends_the_job",
        "test_job.py::test_a_report_for_a_step_that_does_not_exist_breaks_the_server",
    ),
}


def claims(test: str) -> Iterator[tuple[str, bool]]:
    """What a test is named for: `PUT /groups/{}`, and whether it succeeds there."""
    for template, names in COVERING_TESTS.items():
        for name, succeeded in zip(names, (True, False), strict=True):
            if name == test:
                yield template, succeeded


def name_of_test(node_id: str) -> str:
    """A test's name without its directory and without the server that it runs against."""
    name = node_id.rpartition("contract/")[2]
    return re.sub(r"\[(embedded|real)(-|\])", lambda match: "[" if match[2] == "-" else "", name, count=1)
