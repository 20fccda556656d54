"""What ansible-lint says of a user's project that has the collection in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# All that a wheel or a Galaxy archive brings along.
PARTS = ("galaxy.yml", "meta", "playbooks", "plugins", "roles")
# What users write: variables of the roles beside a role, beside an included one, of a play, and in group_vars.
PLAYBOOK = """\
---
- name: Deploy agents
  hosts: kraken_agents
  gather_facts: false
  vars:
    kraken_registration_trust: inventory
  roles:
    - role: kraken_ci.fleet.kraken_prereqs
      vars:
        kraken_prereqs_install: true
        kraken_server_url: http://kraken.example:6363
    - role: kraken_ci.fleet.kraken_agent
      vars:
        kraken_agent_dir: /srv/kraken
        kraken_server_user: admin
    - role: kraken_ci.fleet.kraken_registration
    - role: kraken_ci.fleet.kraken_verify
    - role: kraken_ci.fleet.kraken_upgrade

- name: Deploy more agents
  hosts: kraken_more_agents
  gather_facts: false
  tasks:
    - name: Put agents on hosts
      ansible.builtin.include_role:
        name: kraken_ci.fleet.kraken_agent
      vars:
        kraken_agent_environment:
          no_proxy: localhost
        kraken_server_url: http://kraken.example:6363
        kraken_prereqs_install: false
    - name: Register them
      ansible.builtin.import_role:
        name: kraken_ci.fleet.kraken_registration
      vars:
        kraken_registration_trust: cidr
        kraken_server_url: http://kraken.example:6363
        kraken_agent_groups: [build]

- name: Deploy what the playbook of the collection deploys
  ansible.builtin.import_playbook: kraken_ci.fleet.deploy_agents
"""
GROUP_VARS = """\
---
kraken_server_url: http://kraken.example:6363
kraken_server_user: admin
kraken_agent_groups: [build]
kraken_prereqs_install: true
kraken_verify_timeout: 300
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_users_playbook_over_our_roles_has_no_failure(tmp_path: Path) -> None:
    """ansible-lint looks into the roles that a playbook names, when they are below the project's directory."""
    collection = tmp_path / "collections" / "ansible_collections" / "kraken_ci" / "fleet"
    collection.mkdir(parents=True)
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, collection / part)
    (tmp_path / "site.yml").write_text(PLAYBOOK)
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "kraken_agents.yml").write_text(GROUP_VARS)
    (tmp_path / "ansible.cfg").write_text("[defaults]\ncollections_path = collections\n")
    (tmp_path / ".git").mkdir()  # the project's directory is the one that has it
    programs = Path(sys.executable).parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    done = subprocess.run(
        [
            *(str(programs / "ansible-lint"), "--offline", "--nocolor", "--profile", "production"),
            *("site.yml", "group_vars/kraken_agents.yml"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    # Without the roles there would be two files only, and nothing proven.
    assert " in 2 files processed" not in done.stderr
    assert "Passed: 0 failure(s), 0 warning(s)" in done.stderr
