"""The record of a playbook run is on when the command line runs the playbook, beside the callbacks of the user."""

from __future__ import annotations

from pathlib import Path

import pytest

from kraken_fleet.cli.deploy_record import recorded

OURS = "kraken_ci.fleet.deploy_record"


@pytest.mark.parametrize(
    ("configuration", "variable", "wanted"),
    [
        ("", None, OURS),
        ("[defaults]\nforks = 5\n", None, OURS),
        ("[defaults]\ncallbacks_enabled = profile_tasks, timer ; both\n", None, f"profile_tasks,timer,{OURS}"),
        ("[defaults]\ncallbacks_enabled = timer\n", "profile_tasks", f"profile_tasks,{OURS}"),
        (f"[defaults]\ncallbacks_enabled = timer, {OURS}\n", None, f"timer,{OURS}"),
        ("no section\n", None, OURS),
    ],
)
def test_the_record_comes_beside_what_is_enabled(
    tmp_path: Path, configuration: str, variable: str | None, wanted: str
) -> None:
    (tmp_path / "ansible.cfg").write_text(configuration)
    environ = {"ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")}
    if variable is not None:
        environ["ANSIBLE_CALLBACKS_ENABLED"] = variable
    assert recorded(environ) == {**environ, "ANSIBLE_CALLBACKS_ENABLED": wanted}
