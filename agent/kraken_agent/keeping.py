"""How much of earlier jobs stays on the disk: the settings for it."""

from __future__ import annotations

from typing import NamedTuple

from kraken_agent.resources import disk_space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_DEFAULT_FREE = "512M"
_MOST = 1_000_000


class Keeping(NamedTuple):
    """What stays, and what has to be free.

    Attributes:
        jobs: directories of so many jobs stay.
        jobs_days: and for so many days; 0 for any time.
        images: so many of the images stay that the agent has pulled for jobs.
        images_days: and for so many days after their last job; 0 for any time.
        min_free: with less than that free the agent takes no job: bytes, or with a `%` a part of the disk.
    """

    jobs: int = 10
    jobs_days: int = 30
    images: int = 20
    images_days: int = 30
    min_free: str = _DEFAULT_FREE

    def needed(self, path: str) -> int:
        """Return how many bytes have to be free on the disk of a path."""
        if not self.min_free.endswith("%"):
            return size_of(self.min_free)
        space = disk_space(path)
        return int(space.whole * float(self.min_free[:-1]) / 100) if space else 0


def keeping_of(environment: Mapping[str, str]) -> Keeping:
    """Read the settings.

    Raises:
        ValueError: one makes no sense; the text says which.
    """
    usual = Keeping()
    min_free = (environment.get("KRAKEN_AGENT_MIN_FREE") or _DEFAULT_FREE).strip().upper()
    try:
        part = float(min_free[:-1]) if min_free.endswith("%") else 0.0
        size_of(min_free if not min_free.endswith("%") else "0")
    except ValueError:
        part = -1.0
    if not 0 <= part < 100:
        raise ValueError(f"KRAKEN_AGENT_MIN_FREE is {min_free!r}; write it like 512M, 10G or 5%")
    return Keeping(
        _number(environment, "KRAKEN_AGENT_KEEP_JOBS", usual.jobs),
        _number(environment, "KRAKEN_AGENT_KEEP_JOBS_DAYS", usual.jobs_days),
        _number(environment, "KRAKEN_AGENT_KEEP_IMAGES", usual.images),
        _number(environment, "KRAKEN_AGENT_KEEP_IMAGES_DAYS", usual.images_days),
        min_free,
    )


def size_of(text: str) -> int:
    """Return the bytes that a size such as `512M` means.

    Raises:
        ValueError: it is no size.
    """
    number, unit = (text[:-1], text[-1]) if text[-1:].isalpha() else (text, "")
    if unit not in _UNITS or not number.isascii() or not number.isdigit() or len(number) > 15:
        raise ValueError(f"{text!r} is no size")
    return int(number) * _UNITS[unit]


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or int(text) > _MOST:
        raise ValueError(f"{name} is {text!r}, which is not a whole number from 0 to {_MOST}")
    return int(text)
