"""Whether the kernel has ended processes because memory ran out: a count that it keeps for each control group."""

from __future__ import annotations

_OWN_GROUPS = "/proc/self/cgroup"
_ROOT = "/sys/fs/cgroup"


def oom_kills() -> int:
    """Return how many processes of this control group the kernel has ended for want of memory; 0 where it does not say.

    The files: cgroup-v2 `memory.events` and cgroup-v1 `memory.oom_control` in the kernel's admin-guide.
    """
    for path in _candidates(_text(_OWN_GROUPS)):
        for line in _text(path).splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill" and value.isdigit():
                return int(value)
    return 0


def _candidates(groups: str) -> list[str]:
    """Return where the count may be. A container may see its own group as the root, whatever the group is called."""
    found = []
    for line in groups.splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            found += [f"{_ROOT}{group}/memory.events", f"{_ROOT}/memory.events"]
        elif "memory" in controllers.split(","):
            found += [f"{_ROOT}/memory{group}/memory.oom_control", f"{_ROOT}/memory/memory.oom_control"]
    return found


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
