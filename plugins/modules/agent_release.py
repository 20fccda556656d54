# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: agent_release
short_description: The files of a release for Windows hosts, on the controller
version_added: 0.1.0
description:
  - Fetches an agent that runs on Windows, and NSSM, checks them, and keeps them in the controller's cache.
  - The role C(kraken_agent) copies them to its Windows hosts. The agent that comes with kraken-fleet is refused.
options:
  bundle:
    description: A directory on the controller with the files kkagent and kktool.
    type: path
    default: ""
  bundle_allowed_signers:
    description:
      - A file on the controller with the keys that may sign agents, as ALLOWED SIGNERS in ssh-keygen(1) describes it.
      - When given, nothing is installed that has no signature beside it (C(kkagent.sig), C(kktool.sig)) by one of them.
    type: path
    default: ""
  bundle_sha256:
    description: What the sha256 of each of the two files must be.
    type: dict
    default: {}
  bundle_url:
    description: Where the two files are downloaded from; needs the version and both checksums.
    type: str
    default: ""
  bundle_version:
    description: What the release is called.
    type: str
    default: ""
  source:
    description: V(bundle) - O(bundle) or O(bundle_url). V(server) - the agent that the Kraken server serves.
    type: str
    choices: [bundle, server]
    default: bundle
  server:
    description: The Kraken server, a URL or C(host:port).
    type: str
    default: ""
  ca_bundle:
    description: A file on the controller with more certificate authorities to trust, in PEM form.
    type: path
    default: ""
  nssm:
    description: The file nssm-2.24.zip on the controller, or its URL; when empty, the one that the server serves.
    type: str
    default: ""
  nssm_sha256:
    description: What its sha256 must be.
    type: str
    default: 727d1e42275c605e0f04aba98095c38a8e1e46def453cdffce42869428aa6743
attributes:
  action_group:
    description: Use C(group/kraken_ci.fleet.release) in C(module_defaults) to set options of all its modules at once.
    support: full
    membership: [kraken_ci.fleet.release]
extends_documentation_fragment: [kraken_ci.fleet.attributes]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Get the server's agent
  kraken_ci.fleet.agent_release:
    source: server
    server: http://kraken.example:6363
  register: release
"""

RETURN = r"""
release:
  description: The release's name, its version with a checksum.
  returned: always
  type: str
directory:
  description: A directory on the controller with the files kkagent, kktool and nssm.exe.
  returned: always
  type: str
"""
