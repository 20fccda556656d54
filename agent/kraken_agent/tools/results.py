"""The numbers that the server knows test results by."""

from __future__ import annotations

NOT_RUN = 0
PASSED = 1
FAILED = 2
ERROR = 3
DISABLED = 4
UNSUPPORTED = 5
