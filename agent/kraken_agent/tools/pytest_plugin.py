"""The plugin that is put beside a pytest: says which tests there are, keeps to the wanted ones, tells how each went.

It is kept as text since it runs in the project's own Python, which knows nothing of the agent. It works with pytest 3.8
and later; under pytest-xdist only the controlling process speaks.
"""

PLUGIN_NAME = "kraken_pytest_plugin"

PLUGIN_SOURCE = """
import json
import os

import pytest

DIRECTORY = os.environ["KRAKEN_PYTEST_DIRECTORY"]
PASSED, FAILED, ERROR, DISABLED = 1, 2, 3, 4
LONGEST_MESSAGE = 2000


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Reporter(config), "kraken-reporter")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    path = os.path.join(DIRECTORY, "tests.json")
    if os.path.exists(path):
        with open(path) as file:
            wanted = set(json.load(file))
        dropped = [item for item in items if item.nodeid not in wanted]
        items[:] = [item for item in items if item.nodeid in wanted]
        if dropped:
            config.hook.pytest_deselected(items=dropped)


class Reporter:
    def __init__(self, config):
        self.collect_only = config.option.collectonly
        self.pipe = os.open(os.path.join(DIRECTORY, "events"), os.O_WRONLY)
        self.worst = {}

    def send(self, **event):
        line = json.dumps(event).encode() + b"\\n"
        while line:
            line = line[os.write(self.pipe, line):]

    def pytest_collection_finish(self, session):
        if self.collect_only:
            for item in session.items:
                self.send(test=item.nodeid)

    def pytest_runtest_logreport(self, report):
        status, message = judge(report)
        seen = self.worst.get(report.nodeid, (0, ""))
        self.worst[report.nodeid] = max(seen, (status, message), key=lambda pair: severity(pair[0]))
        if report.when == "teardown":
            status, message = self.worst.pop(report.nodeid)
            event = {"test": report.nodeid, "status": status or PASSED}
            if message:
                event["msg"] = message
            self.send(**event)


def severity(status):
    return (0, PASSED, DISABLED, FAILED, ERROR).index(status)


def judge(report):
    if report.failed:
        return (FAILED if report.when == "call" else ERROR), str(report.longrepr)[-LONGEST_MESSAGE:]
    if report.skipped:
        if hasattr(report, "wasxfail"):
            return PASSED, "failed as expected: " + report.wasxfail
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        return DISABLED, reason
    return (PASSED if report.when == "call" else 0), ""
"""
