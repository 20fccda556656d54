"""The fleet's recent past: agents by state and jobs by group, one sample a minute, kept across restarts."""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from kraken_fleet import whole_file
from kraken_fleet.web.cache import Snapshot

SAMPLE_SECONDS = 60
SAMPLES = 24 * 60
# To cut the file each minute would be to write it anew each minute.
_MOST_LINES = 2 * SAMPLES


@dataclass(frozen=True, slots=True)
class Sample:
    """How many agents were in each state, and how many jobs ran in each group, at one minute (Unix time)."""

    minute: int
    states: Mapping[str, int]
    jobs: Mapping[str, int]


class History:
    """A day of samples in one file, a JSON line for each. Where the file cannot be written they are in memory alone.

    Args:
        path: the file; lines that cannot be read are left out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        lines = _lines(path)
        self._samples: deque[Sample] = deque(_read(lines), maxlen=SAMPLES)
        self._in_file = len(lines)

    def record(self, snapshot: Snapshot) -> None:
        """Add a sample when the last one is a minute old."""
        minute = int(snapshot.taken.timestamp()) // SAMPLE_SECONDS * SAMPLE_SECONDS
        with self._lock:
            if self._samples and self._samples[-1].minute >= minute:
                return
            sample = sample_of(snapshot, minute)
            self._samples.append(sample)
            try:
                self._write(sample)
            except OSError:
                # A disk that is full must not keep people from the pages. The last line may be half there, and lines
                # will be missing: the next time the file is written anew.
                self._in_file = _MOST_LINES

    def samples(self) -> tuple[Sample, ...]:
        with self._lock:
            return tuple(self._samples)

    def _write(self, sample: Sample) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._in_file < _MOST_LINES:
            # A line a minute is added rather than the file written anew: a killed console loses one line at most.
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(sample))
            self._in_file += 1
            return
        # The file is cut down to what is still shown.
        whole_file.write(self._path, "".join(map(_line, self._samples)))
        self._in_file = len(self._samples)


def sample_of(snapshot: Snapshot, minute: int) -> Sample:
    """Count one snapshot."""
    jobs = Counter(name for agent in snapshot.agents if agent.job for name in agent.group_names)
    return Sample(minute, dict(snapshot.counts), dict(jobs))


def _line(sample: Sample) -> str:
    return json.dumps(asdict(sample), separators=(",", ":")) + "\n"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _read(lines: Iterable[str]) -> list[Sample]:
    samples = []
    for line in lines:
        try:
            samples.append(Sample(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return samples
