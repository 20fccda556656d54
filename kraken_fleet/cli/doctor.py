"""`kraken-fleet doctor`: can the hosts of an inventory be agents, and do they reach what agents need?"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from kraken_fleet.api import KrakenClient, find_server
from kraken_fleet.cli import output
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.connection import levels_of
from kraken_fleet.cli.source import with_inventory
from kraken_fleet.collection import collection_root
from kraken_fleet.errors import FleetError, InventoryError, PartialFailureError
from kraken_fleet.inventory import Inventory, start_ansible
from kraken_fleet.inventory.command import failure
from kraken_fleet.inventory.environment import ansible_environment
from kraken_fleet.plan.host_findings import CLOCK_DIFFERENCE, apart

app = single_command()

Finding = Mapping[str, Any]
# A blank is in no name of a host.
_CONTROLLER = "this machine"
# How Ansible says what it does and to which host.
_TASK = re.compile(r"TASK \[(.*)\]")
_HOST = re.compile(r"(?:ok|changed|fatal|failed): \[([^\]]+)\]")
_LOOKING = "Look at the host"
_SIGNS = {True: ("✔", "green"), False: ("✘", "bold red"), None: ("?", "yellow")}


@app.command()
@with_inventory
def doctor(
    inventory: Inventory,
    clickhouse: Annotated[
        str | None,
        typer.Option(
            "--clickhouse",
            help="ClickHouse itself as this machine reaches it (native protocol), to look for the hosts' log records.",
            metavar="HOST:PORT",
        ),
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Look at every host and change nothing. Exit code 0: all is well, 3: some hosts have a finding."""
    # On a terminal only, and beside the answer: looking takes some seconds for each few hosts.
    with output.console(stderr=True).status("Looking at the hosts") as status:
        hosts = _examine(inventory, clickhouse, lambda seen: status.update(f"Looking at the hosts: {seen} done"))
        hosts |= _controller(inventory)
    if as_json:
        output.answer(hosts)
    else:
        _show(hosts)
    bad = {host: _reason(findings) for host, findings in hosts.items() if _reason(findings)}
    if bad and as_json:
        raise typer.Exit(PartialFailureError.exit_code)
    if bad:
        others = f"; {_CONTROLLER} has one too" if _CONTROLLER in bad else ""
        looked_at = len(hosts.keys() - {_CONTROLLER})
        raise PartialFailureError(
            f"{len(bad.keys() - {_CONTROLLER})} of {looked_at} hosts have findings{others}", failures=bad
        )


def _controller(inventory: Inventory) -> dict[str, list[Finding]]:
    """Compare this machine's clock with the server's; nothing where the hosts have none, or several, or no answer."""
    try:
        url, bundle = find_server(levels_of(inventory))
        with KrakenClient(url, ca_bundle=bundle) as client:
            ahead = -client.clock_ahead()
    except FleetError:
        return {}  # each host that has a server says what is wrong with it
    seconds = round(ahead.total_seconds())
    detail = f"{apart(seconds)} the server's" if seconds else "as the server's"
    remedy = (
        "Synchronise this machine's clock (chrony, systemd-timesyncd); the server's, when the clocks of the hosts "
        "differ from it alike"
    )
    good = abs(ahead.total_seconds()) <= CLOCK_DIFFERENCE
    return {_CONTROLLER: [{"check": "clock", "ok": good, "detail": detail, "remedy": "" if good else remedy}]}


def _examine(inventory: Inventory, clickhouse: str | None, on_host: Callable[[int], None]) -> dict[str, list[Finding]]:
    """Run the playbook that looks at hosts; `on_host` is told how many have been looked at so far."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        # As JSON, since `-e name=value` would split a path at its blanks.
        given = {"__kraken_doctor_report": str(report), "__kraken_doctor_clickhouse_native_addr": clickhouse or ""}
        command = [sys.executable, "-m", "ansible", "playbook", "-e", json.dumps(given)]
        command += [argument for source in inventory.sources for argument in ("-i", str(source))]
        command += ["--limit", inventory.limit] if inventory.limit else []
        command += inventory.arguments
        command.append(str(collection_root() / "playbooks" / "doctor.yml"))
        said = _run(command, on_host)
        # ansible-playbook exits with 2 or 4 when a host has failed, which is a finding; only without a report has it
        # failed itself.
        if not report.is_file():
            hint = "Run `ansible-playbook -i INVENTORY kraken_ci.fleet.doctor` to see all of it"
            raise failure(said, str(inventory), hint)
        seen = json.loads(report.read_text(encoding="utf-8"))
        if problems := seen.get("problems"):
            text = "\n".join(["The inventory is wrong; no host was looked at.", *problems])
            raise InventoryError(text, where=str(inventory))
        return {host: _findings(result) for host, result in seen["hosts"].items()}


def _run(command: Sequence[str], on_host: Callable[[int], None]) -> str:
    """Run ansible-playbook; return what it printed."""
    said: list[str] = []
    task, seen = "", set[str]()
    # Into a pipe Python writes whole blocks, and a count would come with the last host.
    with start_ansible(command, {**ansible_environment(), "PYTHONUNBUFFERED": "1"}) as process:
        for line in process.stdout or ():
            said.append(line)
            if found := _TASK.match(line):
                task = found[1]
            elif task == _LOOKING and (found := _HOST.match(line)):
                seen.add(found[1])
                on_host(len(seen))
    return "".join(said)


def _findings(result: Mapping[str, Any]) -> list[Finding]:
    if "findings" in result:
        return list(result["findings"])
    check = "reach" if result.get("unreachable") else "python"
    python = "Run the role kraken_prereqs, or set ansible_python_interpreter"
    remedy = "Check address, SSH key and host key" if check == "reach" else python
    # Ansible's own words are about the answer that is missing; what the host said is why.
    told = str(result.get("module_stderr") or "").strip() or str(result.get("msg", "nothing is known")).strip()
    detail = told.splitlines()[0]
    return [{"check": check, "ok": False, "detail": detail, "remedy": remedy}]


def _show(hosts: Mapping[str, Sequence[Finding]]) -> None:
    from rich.text import Text

    checks = list(dict.fromkeys(str(finding["check"]) for findings in hosts.values() for finding in findings))
    rows = []
    for host, findings in hosts.items():
        verdicts = {str(finding["check"]): finding["ok"] for finding in findings}
        signs = [Text(*_SIGNS[verdicts[check]]) if check in verdicts else Text("") for check in checks]
        rows.append((host, *signs))
    output.table(("HOST", *(check.upper() for check in checks)), rows, empty="No host matched.")
    for host, findings in hosts.items():
        for finding in findings:
            if not finding["ok"]:
                remedy = f". {finding['remedy']}" if finding["remedy"] else ""
                output.line(f"{host}: {finding['check']}: {finding['detail']}{remedy}")


def _reason(findings: Sequence[Finding]) -> str:
    return "; ".join(f"{finding['check']}: {finding['detail']}" for finding in findings if finding["ok"] is False)
