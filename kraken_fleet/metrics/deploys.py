"""Past playbook runs as metrics, by the record that they leave in the state directory.

The record has a bounded number of runs, and so do the labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import PurePath

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from kraken_fleet.metrics.families import PREFIX, counted
from kraken_fleet.model import Deploy

_PLAYBOOK, _RESULTS = ("playbook",), ("playbook", "result")


def deploy_families(deploys: Sequence[Deploy]) -> Iterator[Metric]:
    """Return the metrics of runs.

    Args:
        deploys: the newest first. Runs in check mode, which change nothing, are left out.
    """
    runs = [deploy for deploy in deploys if not deploy.check]
    # The newest come first, and the last one stored stays: reversed, that is the newest run of each playbook.
    last = {_name(deploy): deploy for deploy in reversed(runs)}
    results: Counter[tuple[str, ...]] = Counter(
        (_name(deploy), "failed" if deploy.failed_hosts else "ok") for deploy in runs
    )
    yield counted("deploys", "Playbook runs in the record, by whether all hosts succeeded.", _RESULTS, results)
    begun: dict[tuple[str, ...], float] = {
        (name,): moment for name, deploy in last.items() if (moment := _begun(deploy)) is not None
    }
    help_text = "When the last run of a playbook began, in Unix time."
    yield counted("deploy_last_timestamp_seconds", help_text, _PLAYBOOK, begun)
    seconds: dict[tuple[str, ...], float] = {(name,): deploy.seconds for name, deploy in last.items()}
    yield counted("deploy_last_seconds", "How long the last run of a playbook took.", _PLAYBOOK, seconds)
    hosts: dict[tuple[str, ...], float] = {}
    for name, deploy in last.items():
        failed = len(deploy.failed_hosts)
        hosts |= {(name, "failed"): failed, (name, "ok"): len(deploy.hosts) - failed}
    yield counted("deploy_last_hosts", "Hosts of the last run of a playbook, by result.", _RESULTS, hosts)
    succeeded = {host: result.succeeded for deploy in reversed(runs) for host, result in deploy.hosts.items()}
    help_text = "Hosts on which the last run of a playbook failed."
    yield GaugeMetricFamily(PREFIX + "deploy_failed_hosts", help_text, value=list(succeeded.values()).count(False))


def _name(deploy: Deploy) -> str:
    return PurePath(deploy.playbook).name


def _begun(deploy: Deploy) -> float | None:
    try:
        moment = datetime.fromisoformat(deploy.started)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
