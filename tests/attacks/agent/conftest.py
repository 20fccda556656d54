"""Real agents of a server that the tests write, to attack and be attacked through."""

from tests.unit.agent.conftest import (  # noqa: F401 - fixtures, used by name
    is_alive_fixture,
    run_job,
    server,
    start_agent,
    until_fixture,
)
