"""Where the agent's own messages go besides the log sink: standard error, which a service manager keeps."""

from __future__ import annotations

import sys


def write(text: str) -> None:
    """Write, if that is possible: a full disk, or a reader that is gone, must not end a job."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        return
