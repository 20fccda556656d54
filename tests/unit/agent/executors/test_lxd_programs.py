"""The mark that a shell puts behind a program's output, wherever the stream is cut."""

from __future__ import annotations

import re
import subprocess

import pytest
from kraken_agent.executors.lxd.programs import EndMark


def read(mark: EndMark, *pieces: bytes) -> tuple[bytes, int]:
    """What is left of a stream, and how often its end was told."""
    output: list[bytes] = []
    ends: list[bool] = []
    reader = mark.reader(output.append, lambda: ends.append(True))
    for piece in pieces:
        reader.feed(piece)
    return b"".join(output), len(ends)


def test_both_streams_of_a_program_are_marked_with_its_exit_code() -> None:
    mark = EndMark()
    command = mark.around(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"])
    done = subprocess.run(command, capture_output=True, check=False)
    assert read(mark, done.stdout) == (b"out\n", 1)
    assert mark.code == 3
    assert read(mark, done.stderr) == (b"err\n", 1)


@pytest.mark.parametrize("output", [b"", b"text\n", b"no line end", b"\x1e\x1e looks alike \x1e"])
def test_the_mark_is_found_wherever_the_stream_is_cut(output: bytes) -> None:
    mark = EndMark()
    name = re.findall("[0-9a-f]{16}", mark.around([])[2])[0].encode()
    stream = output + b"\x1e" + name + b" 12\nof a daemon\n"
    for place in range(len(stream) + 1):
        assert read(mark, stream[:place], stream[place:]) == (output + b"of a daemon\n", 1)
    assert mark.code == 12


def test_output_that_only_begins_like_a_mark_is_passed_on() -> None:
    assert read(EndMark(), b"a\x1e", b"b\n") == (b"a\x1eb\n", 0)
