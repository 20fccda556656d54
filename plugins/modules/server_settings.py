# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: server_settings
short_description: Settings of a Kraken server
version_added: 0.1.0
description:
  - Makes settings of the server what the task says, and leaves the others alone.
  - Refuses a setting that the server does not have; the server itself would ignore it without a word.
options:
  settings:
    description:
      - The settings that are not secret, by section, such as C(general.clickhouse_addr).
      - When empty, nothing is changed and the settings are returned.
    type: dict
    default: {}
  secrets:
    description:
      - Passwords, tokens and the like, by section, such as C(notification.smtp_password). Keep them in Ansible Vault.
      - The server never shows them, so they cannot be compared; see O(update_secrets). No role sets it.
    type: dict
    default: {}
  update_secrets:
    description:
      - V(true) writes O(secrets) each time, and reports a change each time.
      - V(false) leaves them as they are. No role sets it.
    type: bool
    default: true
  only_empty:
    description: Leave alone those of O(settings) that have a value already, whatever it is.
    type: bool
    default: false
extends_documentation_fragment: [kraken_ci.fleet.server, kraken_ci.fleet.attributes]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Tell agents where the log goes
  kraken_ci.fleet.server_settings:
    settings:
      general:
        clickhouse_addr: kraken.example:9001
        minio_addr: kraken.example:9999
    server_url: http://kraken.example:6363
  run_once: true

- name: Let the server send mail
  kraken_ci.fleet.server_settings:
    settings:
      notification:
        smtp_server: mail.example:587
        smtp_tls: true
    secrets:
      notification:
        smtp_password: "{{ smtp_password }}"
    update_secrets: "{{ smtp_password_is_new | default(false) }}"
    server_url: http://kraken.example:6363
  run_once: true
"""

RETURN = r"""
changes:
  description: The settings that were changed, or would be in check mode, each as C(section.name).
  returned: success
  type: list
  elements: str
settings:
  description: All settings by section, as they are now or would be in check mode; secrets among them are empty.
  returned: success
  type: dict
"""
