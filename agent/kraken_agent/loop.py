"""The agent's main loop: report its host, wait for jobs, run them, and stop in good order."""

from __future__ import annotations

import os
import random
import signal
import sys
import time

from kraken_agent import __version__
from kraken_agent.config import Config, ConfigError, check_data_dir
from kraken_agent.detect import Engines
from kraken_agent.disk import Disk
from kraken_agent.env_file import EnvFile
from kraken_agent.introduction import Introduction
from kraken_agent.leftovers import Sweeps
from kraken_agent.logs import Log, LogSink
from kraken_agent.notify import ServiceManager
from kraken_agent.process import reap
from kraken_agent.protocol import keep_alive
from kraken_agent.reactor import Reactor
from kraken_agent.session import Session
from kraken_agent.spool import Spool
from kraken_agent.transport import InterruptedExchangeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Mapping, Optional

    from kraken_agent.protocol import Answer

# As Kraken's own agent (recorded from 1.7.36), for which its server is made.
_POLL_SECONDS = 5.0
_UNAUTHORIZED_SECONDS = 10.0
# After the drain has ended the job, so long the report to the server may take.
_REPORT_SECONDS = 10.0


class Agent:
    """One agent, from its start to its end.

    Args:
        options: what the command line says, see Config.

    Raises:
        ConfigError: the settings make no sense.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        self._started = time.monotonic()
        self._options = options
        self._reactor = Reactor()
        self._config = Config(options, os.environ)
        try:
            self._env_file = EnvFile(self._config.data_dir, sys.argv[0], os.environ)
        except OSError as error:
            raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from error
        self._log = Log(self._reactor, LogSink(self._config.source_address()))
        check_data_dir(self._config.data_dir, self._log.warning)
        if self._config.is_fresh:
            from kraken_agent import fresh

            fresh.empty(self._config.data_dir, self._log.warning)
        self._engines = Engines(self._reactor, self._log)
        self._disk = Disk(self._reactor, self._log, self._config.data_dir, lambda: self._stop_asked)
        # Whether the server keeps jobs from an agent that says that it takes none.
        self._gives_no_jobs = False
        self._introduction = Introduction(self._engines, self._disk, lambda: self._session.clock_ahead)
        self._service = ServiceManager(self._reactor, os.environ)
        self._spool = Spool(os.path.join(self._config.data_dir, "spool"), self._log.warning)
        self._session = self._connect()
        self._agent_id: Optional[int] = None
        self._stop_asked = False
        self._stop_at = float("inf")
        self._reload_asked = False
        self._in_job = False
        self._sweeps = Sweeps(self._reactor, self._config.data_dir, self._log.warning)
        self._is_on_trial = False
        self._no_update_until: Dict[str, float] = {}

    def run(self) -> int:
        """Work until told to stop; return the exit code."""
        reactor = self._reactor
        reactor.on_signal(signal.SIGCHLD, reap)
        reactor.on_signal(signal.SIGTERM, self._on_stop)
        reactor.on_signal(signal.SIGINT, self._on_stop)
        reactor.on_signal(signal.SIGHUP, self._on_reload)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._log.info(f"agent {__version__} for {self._session.server}, data in {self._config.data_dir}")
        self._service.ready()
        if os.path.exists(os.path.join(self._config.data_dir, "update.json")):
            from kraken_agent.update import is_on_trial

            self._is_on_trial = is_on_trial(self._config.data_dir)
        try:
            while True:
                self._work_and_recover()
        except InterruptedExchangeError:
            self._log.info("agent stops")
        # Told to stop before the server has answered: that says nothing about the new version.
        if self._is_on_trial:
            from kraken_agent.update import forget_trial

            forget_trial(self._config.data_dir)
        self._log.drain(1.0)
        return 0

    def _work_and_recover(self) -> None:
        """Whatever goes wrong, for example that the host has no process or memory left, is waited out.

        Not by a new version on trial, which gives way to the old one.
        """
        try:
            self._work_for_server()
        except InterruptedExchangeError:
            raise
        except Exception:
            import traceback

            self._log.error(traceback.format_exc())
            if self._is_on_trial:
                raise
            self._wait(_POLL_SECONDS)

    def _connect(self) -> Session:
        try:
            session = Session(self._reactor, self._config, self._log, self._spool, self._interrupted)
            self._log.sink.open(self._config.log_address)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        return session

    def _work_for_server(self) -> None:
        """Ask for jobs and run them, until InterruptedExchangeError ends it."""
        known = False
        while True:
            if self._reload_asked:
                known = not self._reload() and known
            if not known:
                known = self._register()
                if known:
                    self._sweeps.first(self._config.keeping)
                continue
            self._sweeps.again_when_due()
            if self._session.has_reports:
                self._session.deliver()
            if self._disk.look(self._config):
                known = self._wait_for_room()
                continue
            if self._introduction.has_news(self._config):
                known = False
                continue
            answer = self._session.get_job()
            if answer.unauthorized:
                known = False
                continue
            if answer.job:
                self._run_job(answer)
            else:
                self._service.status("idle")
                self._between_jobs(answer)
                self._engines.ask_when_due()
                self._wait(self._pause(_POLL_SECONDS))

    def _wait_for_room(self) -> bool:
        """Say that there is no room for a job, and wait; false when the agent must introduce itself again."""
        # Kraken's own server gives jobs to whoever it hears of: there the agent is silent.
        self._service.status(f"takes no jobs: {self._disk.why_no_jobs}")
        answer = None
        if self._introduction.has_news(self._config):
            answer = self._host_info()
        elif self._gives_no_jobs:
            answer = self._session.insist(keep_alive(self._session.address, 0))
        self._wait(self._pause(_POLL_SECONDS))
        return answer is None or not answer.unauthorized

    def _register(self) -> bool:
        """Say who and what this is; false, after a while, when the server does not let the agent in."""
        answer = self._introduce()
        # Any answer will do: whether the agent is authorized does not depend on its version.
        if self._is_on_trial:
            self._pass_trial()
        if not answer.unauthorized:
            self._agent_id = answer.agent_id
            self._log.set_context(agent=self._agent_id)
            self._apply(answer)
            self._log.info(f"known to the server as {self._session.address}")
            return True
        self._service.status("waits to be authorized")
        self._log.info(f"the server has not authorized {self._session.address} yet")
        self._wait(self._pause(_UNAUTHORIZED_SECONDS))
        return False

    def _pass_trial(self) -> None:
        """Make this new version the current one: the server has answered it."""
        from kraken_agent.update import accept_new_version

        accept_new_version(self._config.data_dir)
        self._is_on_trial = False

    def _introduce(self) -> Answer:
        """Say who and what this is. Engines are asked meanwhile, and make a second introduction when they are there."""
        self._engines.ask_when_due()
        answer = self._host_info()
        if not self._engines.has_answered and not answer.unauthorized:
            self._engines.wait()
            if self._introduction.has_news(self._config):
                answer = self._host_info()
        return answer

    def _host_info(self) -> Answer:
        self._disk.look(self._config)
        answer = self._session.host_info(self._introduction.make(self._config))
        self._gives_no_jobs = answer.gives_no_jobs
        return answer

    def _apply(self, answer: Answer) -> None:
        """Send logs where the server says, unless that is set here; again when there was no way to it before."""
        if address := self._config.log_address or answer.log_address:
            try:
                self._log.sink.open(address)
            except ValueError as error:
                self._log.warning(str(error))

    def _run_job(self, answer: Answer) -> None:
        from kraken_agent import family
        from kraken_agent.job import JobRun

        self._apply(answer)
        self._engines.cancel()
        family.adopt_orphans()
        self._service.status(f"job {answer.job.get('id')}")
        self._in_job = True
        try:
            JobRun(
                self._reactor, self._session, self._log, self._config, answer.job, self._agent_id, self._should_end_job
            ).run()
        finally:
            self._in_job = False
        self._disk.after_job(self._config)
        if self._stop_asked or self._config.one_job:
            self._stop_asked = True
            raise InterruptedExchangeError

    def _between_jobs(self, answer: Answer) -> None:
        if self._config.follows_server and time.monotonic() >= self._no_update_until.get(answer.version, 0.0):
            from kraken_agent.update import follow

            pause = follow(answer.version, self._reactor, self._session, self._log, self._config)
            self._no_update_until[answer.version] = time.monotonic() + pause

    def _pause(self, most: float) -> float:
        """Grows from a second to `most` with the agent's age: who has just started an agent is waiting for it."""
        return min(most, max(1.0, (time.monotonic() - self._started) / 10))

    def _wait(self, seconds: float) -> None:
        """Wait for about so long, so that a fleet that was started at once does not ask at once for ever."""
        until = time.monotonic() + seconds * random.uniform(0.9, 1.1)  # noqa: S311 - it spreads load
        self._reactor.run_until(lambda: self._reload_asked or self._interrupted(), until)
        if self._interrupted():
            raise InterruptedExchangeError

    # -- signals

    def _on_stop(self) -> None:
        """Let the job end in the drain time; the second time end it now."""
        now = time.monotonic()
        self._stop_at = now if self._stop_asked else now + self._config.drain_seconds
        self._stop_asked = True
        for when in (self._stop_at, self._stop_at + _REPORT_SECONDS):
            # The loop looks again at what has become true by then.
            self._reactor.call_at(when, lambda: None)
        if self._in_job:
            self._service.stopping(self._stop_at - now)
            self._log.info(f"told to stop; the job has {self._stop_at - now:g} s to end")

    def _should_end_job(self) -> bool:
        return time.monotonic() >= self._stop_at

    def _interrupted(self) -> bool:
        """Return whether waiting for the server is pointless now."""
        if not self._stop_asked:
            return False
        return not self._in_job or time.monotonic() >= self._stop_at + _REPORT_SECONDS

    def _on_reload(self) -> None:
        self._reload_asked = True

    def _reload(self) -> bool:
        """Read kraken.env again; return whether the agent must report its host again."""
        self._reload_asked = False
        try:
            config = Config(self._options, self._env_file.read_again())
        except (ConfigError, OSError) as error:
            self._log.error(f"the settings stay as they are: {error}")
            return False
        if config.data_dir != self._config.data_dir:
            self._log.warning("the data directory changes only with a restart")
            config.data_dir = self._config.data_dir
        self._config = config
        # The new settings may allow the version that the old ones refused.
        self._no_update_until = {}
        self._log.sink.close()
        self._log.sink = LogSink(config.source_address())
        try:
            self._session = self._connect()
        except ConfigError as error:
            self._log.error(str(error))
        self._log.info("settings were read again")
        return True
