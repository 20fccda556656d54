"""A job starts processes that do what they can to live on when the job is over."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.unit.agent.conftest import RunningAgent
from tests.unit.agent.fake_server import FakeServer

# Each life lasts about a millisecond: fork, let the parent go, new session, again; ends by itself after a minute.
RUNNER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
end, count = time.time() + 60, 0
while time.time() < end:
    if os.fork():
        os._exit(0)
    os.setsid()
    count += 1
    if count % 20 == 0:
        open(sys.argv[1], "w").close()
"""


def test_by_forking_faster_than_anybody_counts(
    server: FakeServer, start_agent: Callable[..., RunningAgent], tmp_path: Path
) -> None:
    program, mark = tmp_path / "runner.py", tmp_path / "alive"
    program.write_text(RUNNER)
    start = f"env -i {sys.executable} -S -E {program} {mark}$number </dev/null >/dev/null 2>&1 &"
    job = server.add_job({"cmd": f"for number in 1 2 3 4; do {start} done; sleep 2; ls {tmp_path}"})
    start_agent("--one-job").wait(40)
    server.sink.settle()
    assert "alive1" in server.sink.output(job.id)
    for number in range(1, 5):
        Path(f"{mark}{number}").unlink()
    time.sleep(2)
    assert list(tmp_path.glob("alive*")) == []
