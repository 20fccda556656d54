# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules take whose agents run in containers, besides the agent's own settings."""

from __future__ import annotations


class ModuleDocFragment:
    """The container and the deploy that makes it."""

    DOCUMENTATION = r"""
options:
  docker_socket:
    description:
      - Mount the engine's socket, for the Docker executor.
      - Whoever has the socket is root on the host, so whoever can start a job is, too.
    type: bool
    default: false
  restart_policy:
    description: When Docker starts a container again.
    type: str
    choices: ["no", on-failure, always, unless-stopped]
    default: unless-stopped
  predict:
    description: Only say what would be changed, in RV(changes), as check mode does; reports no change.
    type: bool
    default: false
  lock_timeout:
    description: Seconds to wait for another deploy that works on the same container or override file.
    type: int
    default: 120
"""
