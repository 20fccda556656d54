"""The real Prometheus with the configuration and the alert rules that we give to users."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"
RULES = "kraken-fleet.rules.yml"


def as_they_are(rules: Any) -> Any:
    """Leave the alert rules alone."""
    return rules


@contextmanager
def prometheus(
    folder: Path,
    target: str,
    password: str,
    *,
    scrape_seconds: int = 5,
    changed: Callable[[Any], Any] = as_they_are,
) -> Iterator[str]:
    """Let one scrape a target; gives its URL.

    Args:
        folder: gets its configuration, log and data.
        target: the URL of a console.
        password: of the account that scrapes.
        changed: what a test changes in the alert rules, such as times that nobody can wait for.
    """
    config = yaml.safe_load((CONTRIB / "prometheus/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    job["scrape_interval"] = job["scrape_timeout"] = f"{scrape_seconds}s"
    job["basic_auth"]["password_file"] = str(folder / "password")
    job["static_configs"][0]["targets"] = [target.removeprefix("http://")]
    config["global"] = {"evaluation_interval": f"{scrape_seconds}s"}
    (folder / "password").write_text(password)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    rules = yaml.safe_load((CONTRIB / "prometheus" / RULES).read_text())
    (folder / RULES).write_text(yaml.safe_dump(changed(rules)))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            ["prometheus", *options, f"--web.listen-address={address}"], stdout=log, stderr=log, cwd=folder
        )
        try:
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(20)


def query(server: str, expression: str) -> list[dict[str, Any]]:
    """What the Prometheus at that URL answers; nothing while it is starting."""
    try:
        answer = requests.get(f"{server}/api/v1/query", params={"query": expression}, timeout=60)
    except requests.ConnectionError:
        return []
    if answer.status_code == 503:
        return []  # it listens, and reads what it has on disk
    found: list[dict[str, Any]] = answer.json().get("data", {}).get("result", [])
    return found
