"""What all tests share: the option that lets them use a real Kraken server."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.real_server.fixtures import pytest_configure, pytest_configure_node, pytest_sessionfinish, real_server

__all__ = ["pytest_configure", "pytest_configure_node", "pytest_sessionfinish", "real_server"]


# How long one example takes depends on what else the machine does; pytest-timeout ends what hangs. Each run plays the
# same examples, so that one fails for what was changed; `--hypothesis-profile explore` looks for others.
settings.register_profile("the same examples", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=5_000)
settings.load_profile("the same examples")

# Whichever test is the first waits until the server is installed and up.
FIRST_TEST_SECONDS = 400


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--real-server",
        action="store_true",
        default=bool(os.environ.get("KRAKEN_REAL_SERVER_URL")),
        help="also run what needs the unmodified krakenci-server: the one at KRAKEN_REAL_SERVER_URL, or else the one "
        "that `python tests/real_server up` left running, or else one that is brought up for the tests",
    )
    parser.addoption(
        "--again-file", help="a file to which the name of each test is added that was run again after a failure"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run as many processes as there are cores, and at least four: hundreds of tests wait for seconds."""
    return max(4, len(os.sched_getaffinity(0)))


def pytest_sessionstart() -> None:
    """Let signals do what they do in a terminal, for tests and for the programs that they start.

    A shell has programs in the background ignore Ctrl-C, and nohup has them ignore a closed terminal. What they start
    would ignore it, too.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        # The tests go on; a program that they start has the usual handler again.
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the tests that were run again, for whoever runs several suites and looks at the end."""
    # pytest-xdist's workers have this hook too, and send what they know to the process that started them.
    if (path := config.getoption("--again-file")) and not hasattr(config, "workerinput"):
        with Path(path).open("a") as file:
            file.writelines(f"{report.nodeid}\n" for report in terminalreporter.getreports("rerun"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without the option the tests of the real server are deselected, which pytest's summary says."""
    of_real_server = [item for item in items if item.get_closest_marker("real_server")]
    if config.getoption("--real-server"):
        for item in of_real_server:
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(FIRST_TEST_SECONDS))
    elif of_real_server:
        config.hook.pytest_deselected(items=of_real_server)
        items[:] = [item for item in items if item not in set(of_real_server)]
