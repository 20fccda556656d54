# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module says of check mode and diffs."""

from __future__ import annotations


class ModuleDocFragment:
    """For modules that support both in full."""

    # Each text is one literal: ansible-test reads the source and joins nothing.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and predict what would change, without changing anything.
    support: full
  diff_mode:
    description: Returns details on what has changed, or would change in check mode, when in diff mode.
    support: full
"""

    # Instead, for modules that only look.
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode; changes nothing in any mode.
    support: full
  diff_mode:
    description: Returns details on what has changed, or would change in check mode, when in diff mode.
    support: none
"""
