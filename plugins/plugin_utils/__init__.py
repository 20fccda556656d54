# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What plugins share on the controller. Importing any of it fails without the Python package in this version."""

from __future__ import annotations

import sys

from ansible.errors import AnsibleError

# As galaxy.yml has it, which is not there any more when Galaxy has made a collection of it.
VERSION = "0.1.0"
_INSTALL = f"run `{sys.executable} -m pip install kraken-fleet=={VERSION}`, for the Python that runs Ansible"

try:
    from kraken_fleet import __version__
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "kraken_fleet":
        raise
    raise AnsibleError(
        f"The collection kraken_ci.fleet {VERSION} needs the Python package kraken-fleet, which is not installed: "
        f"{_INSTALL}"
    ) from None
if __version__ != VERSION:
    raise AnsibleError(
        f"The collection kraken_ci.fleet {VERSION} and the Python package kraken-fleet {__version__} are of different "
        f"versions: {_INSTALL}, or `ansible-galaxy collection install kraken_ci.fleet:=={__version__}`"
    )
