"""The fleet's recent past: agents by state and jobs by group, one sample a minute, kept across restarts."""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from kraken_fleet import whole_file
from kraken_fleet.web.cache import Snapshot

SAMPLE_SECONDS = 60
SAMPLES = 24 * 60


@dataclass(frozen=True, slots=True)
class Sample:
    """How many agents were in each state, and how many jobs ran in each group, at one minute (Unix time)."""

    minute: int
    states: Mapping[str, int]
    jobs: Mapping[str, int]


class History:
    """A day of samples in one file, a JSON line for each.

    Args:
        path: the file; lines that cannot be read are left out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._samples: deque[Sample] = deque(_read(path), maxlen=SAMPLES)

    def record(self, snapshot: Snapshot) -> None:
        """Add a sample when the last one is a minute old."""
        minute = int(snapshot.taken.timestamp()) // SAMPLE_SECONDS * SAMPLE_SECONDS
        with self._lock:
            if self._samples and self._samples[-1].minute >= minute:
                return
            sample = sample_of(snapshot, minute)
            self._samples.append(sample)
            self._write(sample)

    def samples(self) -> tuple[Sample, ...]:
        with self._lock:
            return tuple(self._samples)

    def _write(self, sample: Sample) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if len(self._samples) < SAMPLES or sample.minute % (SAMPLES * SAMPLE_SECONDS):
            # A line a minute is added rather than the file written anew: a killed console loses one line at most.
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(sample))
            return
        # Once a day the file is cut down to what is still shown.
        whole_file.write(self._path, "".join(map(_line, self._samples)))


def sample_of(snapshot: Snapshot, minute: int) -> Sample:
    """Count one snapshot."""
    jobs = Counter(name for agent in snapshot.agents if agent.job for name in agent.group_names)
    return Sample(minute, dict(snapshot.counts), dict(jobs))


def _line(sample: Sample) -> str:
    return json.dumps(asdict(sample), separators=(",", ":")) + "\n"


def _read(path: Path) -> list[Sample]:
    if not path.is_file():
        return []
    samples = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            samples.append(Sample(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return samples
