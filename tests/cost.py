"""What something costs, on a machine that does other work as well."""

from __future__ import annotations

import time
from collections.abc import Callable


def least_cpu(work: Callable[[], object], times: int = 5) -> float:
    """Do some work several times, and return the least CPU of this process that it took, in seconds.

    A collection of what all tests before have left may come in between, and takes longer than the work itself.
    """
    taken = []
    for _ in range(times):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken)
