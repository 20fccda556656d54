"""The agent's log on its way to the sink: complete, in order, in pieces that a datagram holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.agent.fake_server import FakeJob, FakeServer

RunJob = Callable[..., FakeJob]


def shell(cmd: str, **fields: object) -> dict[str, object]:
    return {"cmd": cmd, **fields}


@pytest.mark.slow
def test_a_hundred_thousand_lines_arrive_complete_and_in_order(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("seq 1 100000"))
    expected = [str(number) for number in range(1, 100001)]
    found = server.sink.output(job.id)
    if lost := server.sink.dropped():
        # The receiver, a thread of this test, got no time. What the kernel counts was sent all the same.
        assert len(found) + lost >= len(expected)
        known = set(found)
        assert found == [line for line in expected if line in known]
    else:
        assert found == expected


def test_the_log_is_complete_when_the_step_is_reported_next(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("seq 1 3000"), shell("echo next"))
    assert server.sink.output(job.id) == [*map(str, range(1, 3001)), "next"]


def test_long_lines_are_split_between_characters(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("for i in $(seq 5000); do printf 'żółw€'; done; echo; echo short"))
    *pieces, short = server.sink.output(job.id)
    assert len(pieces) > 1
    assert "".join(pieces) == "żółw€" * 5000
    assert short == "short"


def test_control_characters_never_make_a_datagram_too_long(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("head -c 50000 /dev/zero"))
    assert "".join(server.sink.output(job.id)) == "\0" * 50000


def test_bytes_that_are_no_text_do_no_harm(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell(r"printf 'a\377\376b\n\200\n'; head -c 20000 /dev/urandom; printf '\nend\n'"))
    output = server.sink.output(job.id)
    assert output[:2] == ["a\ufffd\ufffdb", "\ufffd"]
    assert output[-1] == "end"
    assert server.results(job)[0]["status"] == "done"


def test_a_long_line_of_what_json_escapes_arrives_as_it_is(run_job: RunJob, server: FakeServer) -> None:
    pattern = 'a"b\\c\td\x7f/\re'
    repeat = "for i in $(seq 400); do printf '%s' \"$WORD\"; done; echo"
    job = run_job(shell(repeat, env={"WORD": pattern}))
    assert server.sink.output(job.id) == [pattern * 400]


def test_empty_lines_and_carriage_returns_are_kept_as_lines(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell(r"printf 'a\n\nb\r\nno end'"))
    assert server.sink.output(job.id) == ["a", "", "b", "no end"]


def test_times_do_not_go_back_within_a_job(run_job: RunJob, server: FakeServer) -> None:
    run_job(shell("seq 1 50"), shell("seq 1 50"))
    times = [record["@timestamp"] for record in server.sink.all() if record.get("job")]
    assert times == sorted(times)
    assert all(len(stamp) == 27 and stamp.endswith("Z") for stamp in times)


def test_the_sink_that_is_set_wins_over_the_servers(server: FakeServer, run_job: RunJob) -> None:
    from tests.unit.agent.fake_server import LogSink

    own = LogSink()
    run_job(shell("echo to the own sink"), agent={"KRAKEN_CLICKHOUSE_ADDR": own.address})
    own.settle()
    assert [record["message"] for record in own.all() if record.get("tool")] == ["to the own sink"]
    assert server.sink.raw == []
    own.close()


def test_a_sink_that_is_not_there_holds_nothing_up(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("seq 1 100"), agent={"KRAKEN_CLICKHOUSE_ADDR": "127.0.0.1:9"})
    assert server.results(job)[0]["status"] == "done"


def test_a_sink_with_an_unknown_name_holds_nothing_up(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("echo x"), agent={"KRAKEN_CLICKHOUSE_ADDR": "no-such-host.invalid:9001"})
    assert server.results(job)[0]["status"] == "done"
