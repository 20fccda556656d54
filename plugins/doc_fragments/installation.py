# Apache-2.0 (see LICENSE)
"""What an installation of packages on a host is told."""

from __future__ import annotations


class ModuleDocFragment:
    """How Python and Git are installed where a host lacks them."""

    DOCUMENTATION = r"""
options:
  lock_timeout:
    description: Seconds to wait for another installation that goes on, on Debian and its kin.
    type: int
    default: 120
"""
