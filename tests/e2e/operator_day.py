"""What an operator has on the desk: a lab, the console that Prometheus scrapes, and a watch that writes to people."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import requests
import yaml

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.model import Agent
from tests.e2e.prometheus_server import prometheus, query
from tests.e2e.real_lab import PROGRAMS, RealLab
from tests.message_receivers import WebHook, mail_server, web_hook
from tests.s3_server import free_ports
from tests.waiting import eventually, until

_ACCOUNT = "fleet", "word-of-the-mail-server"
# An agent asks every five seconds.
SILENT_SECONDS = 30


@dataclass
class Desk:
    """All of it, while it runs.

    Args:
        hook: what the web hook has got.
        mails: what the mail server has got.
        metrics: the URL of Prometheus.
        watched: the file with the events that the watch has printed.
    """

    lab: RealLab
    client: KrakenClient
    hook: WebHook
    mails: list[EmailMessage]
    metrics: str
    watched: Path

    def agent(self, host: str) -> Agent:
        """The agent of a host, as the server has it now."""
        address = variables_of(self.lab)[host]["kraken_agent_address"]
        return next(one for one in self.client.agents() if one.address == address)

    def told(self, *words: str) -> None:
        """Wait until both receivers have got a message with all of these."""

        def got() -> tuple[bool, bool, str]:
            texts = [f"{one['title']}\n{one['message']}" for one in self.hook.messages]
            mails = [f"{mail['Subject']}\n{_text(mail)}" for mail in self.mails]
            found = [any(all(word in text for word in words) for text in kind) for kind in (texts, mails)]
            return found[0], found[1], f"{words}: {texts}, {self.watched.read_text()[-2000:]}"

        eventually(got, lambda found: found[0] and found[1])

    def measured(self, expression: str) -> None:
        """Wait until an expression has an answer."""
        until(lambda: self.has(expression), otherwise=f"{expression}: never so")

    def has(self, expression: str) -> bool:
        """Whether an expression has an answer now."""
        return bool(query(self.metrics, expression))


def inventory(lab: RealLab) -> Path:
    """The file."""
    return lab.directory / "hosts.yml"


def variables_of(lab: RealLab) -> dict[str, dict[str, Any]]:
    """What the inventory says of each host."""
    hosts: dict[str, dict[str, Any]] = yaml.safe_load(inventory(lab).read_text())["kraken_agents"]["hosts"]
    return hosts


def describe(lab: RealLab, hosts: Mapping[str, Mapping[str, object]]) -> None:
    """Write more variables of hosts into the inventory."""
    content = yaml.safe_load(inventory(lab).read_text())
    for host, variables in hosts.items():
        content["kraken_agents"]["hosts"][host].update(variables)
    inventory(lab).write_text(yaml.safe_dump(content, sort_keys=False))


def keep_records(lab: RealLab) -> Path:
    """Let all commands of the lab write into one state directory; the audit log that is in there."""
    with (lab.directory / "env").open("a") as file:
        file.write(f"export KRAKEN_FLEET_STATE_DIR={lab.directory / 'state'}\n")
    return lab.directory / "state" / "audit.log"


@contextmanager
def desk(lab: RealLab, folder: Path) -> Iterator[Desk]:
    """Start console, Prometheus, receivers and watch, as programs of their own, and end them after the block."""
    settings = lab.settings()
    user, url = settings["KRAKEN_FLEET_USER"], settings["KRAKEN_FLEET_SERVER"]
    password = Path(settings["KRAKEN_FLEET_PASSWORD_FILE"]).read_text().strip()
    with ExitStack() as all_of_it:
        enter = all_of_it.enter_context
        console = enter(_console(lab, folder))
        metrics = enter(prometheus(folder, console, password, scrape_seconds=3, changed=_sooner))
        hook, (port, mails) = enter(web_hook()), enter(mail_server(*_ACCOUNT))
        enter(_watch(lab, folder, hook.url("anna:word@"), port))
        client = enter(KrakenClient(url, PasswordCredentials(user, password)))
        yield Desk(lab, client, hook, mails, metrics, folder / "watch.log")


def _sooner(rules: Any) -> Any:
    """The alert rules, with seconds for minutes."""
    text = yaml.safe_dump(rules)
    assert "agent_last_seen_seconds > 300" in text
    changed = yaml.safe_load(
        text.replace("agent_last_seen_seconds > 300", f"agent_last_seen_seconds > {SILENT_SECONDS}")
    )
    for rule in changed["groups"][0]["rules"]:
        rule["for"] = "1s"
    return changed


@contextmanager
def _console(lab: RealLab, folder: Path) -> Iterator[str]:
    (port,) = free_ports(1)
    with _program(lab, folder / "console.log", "console", "-i", str(inventory(lab)), "--port", str(port)):
        url = f"http://127.0.0.1:{port}"
        until(lambda: _answers(url), otherwise="the console does not answer")
        yield url


@contextmanager
def _watch(lab: RealLab, folder: Path, hook: str, port: int) -> Iterator[None]:
    user, password = _ACCOUNT
    where = f"127.0.0.1:{port}/?smtp=127.0.0.1&from=fleet@k.test&to=ops@k.test&mode=insecure"
    urls = folder / "notify"
    urls.touch(0o600)
    urls.write_text(f"{hook}\nmailto://{user}:{password}@{where}\n")
    words = ["watch", "-i", str(inventory(lab)), "--notify-file", str(urls), "--interval", "3", "--json"]
    sooner = ["--stale-minutes", str(SILENT_SECONDS / 60), "--lasting", "0", "--dead-time", "1s"]
    with _program(lab, folder / "watch.log", *words, *sooner):
        yield


@contextmanager
def _program(lab: RealLab, log: Path, *words: str) -> Iterator[None]:
    environment = lab.prepared("deploy-agents.yml")[1]
    command = [str(PROGRAMS / "kraken-fleet"), *words]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
        try:
            yield
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()
            process.wait(20)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/", timeout=60).ok
    except requests.ConnectionError:
        return False


def _text(mail: EmailMessage) -> str:
    parts = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
    return "\n".join(map(str, parts))
