# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation of packages on a host is told."""

from __future__ import annotations


class ModuleDocFragment:
    """How Python and Git are installed where a host lacks them."""

    DOCUMENTATION = r"""
options:
  lock_timeout:
    description: Seconds to wait for another deploy of the host and, on Debian and Ubuntu, for another run of apt.
    type: int
    default: 120
"""
