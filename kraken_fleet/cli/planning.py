"""What `plan`, `apply` and `reconcile` share: their options, and how a plan looks to a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import output
from kraken_fleet.cli.options import option, with_options
from kraken_fleet.errors import UsageError
from kraken_fleet.model import TrustRule
from kraken_fleet.model.trust import texts_of
from kraken_fleet.plan import (
    Action,
    CidrTrust,
    CreateGroup,
    DeleteAgent,
    Disable,
    Finding,
    GroupsMode,
    InventoryTrust,
    Plan,
    PlanPolicy,
    Prune,
    Recheck,
    RenameGroup,
    RulesTrust,
    SetDeployment,
    SetGroups,
    TrustPolicy,
    Unauthorize,
)
from kraken_fleet.reconcile import GroupMemory, Memories, NonceMemory, PeerMemory
from kraken_fleet.state import state_dir

AcceptPeers = Annotated[
    bool,
    typer.Option("--accept-peers", help="Accept the addresses that agents connect from now, and remember them."),
]

_POLICY = (
    option(
        "groups",
        Annotated[GroupsMode, typer.Option("--groups", help="exact takes agents out of groups that are not named.")],
        GroupsMode.MERGE,
    ),
    option(
        "prune",
        Annotated[Prune, typer.Option("--prune", help="What to do with agents that the inventory does not have.")],
        Prune.REPORT,
    ),
    option(
        "max_prune",
        Annotated[
            float, typer.Option("--max-prune", help="Refuse to prune more than this percentage.", min=0, max=100)
        ],
        10.0,
    ),
    option(
        "stale_minutes",
        Annotated[float, typer.Option("--stale-minutes", help="Report agents silent for longer.", min=0.1)],
        5.0,
    ),
    option(
        "trust",
        Annotated[
            Path | None,
            typer.Option(
                "--trust",
                help="A YAML file of trust policies, in place of the inventory's kraken_registration_trust.",
                metavar="FILE",
            ),
        ],
    ),
)

_SIGNS: Mapping[type[Action], tuple[str, str]] = {
    CreateGroup: ("+", "green"),
    RenameGroup: ("~", "yellow"),
    SetDeployment: ("~", "yellow"),
    SetGroups: ("~", "yellow"),
    Disable: ("-", "yellow"),
    Unauthorize: ("-", "red"),
    DeleteAgent: ("-", "red"),
    Recheck: ("-", "red"),
}
_SEVERITIES = {"info": "dim", "warning": "yellow", "error": "bold red"}


def with_policy(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a plan; it gets the policy that they are as `policy` instead."""
    return with_options(command, "policy", _POLICY, lambda **given: nullcontext(policy_of(**given)))


def policy_of(
    groups: GroupsMode, prune: Prune, max_prune: float, stale_minutes: float, trust: Path | None
) -> PlanPolicy:
    """Return the options as a policy.

    Raises:
        UsageError: the trust file is wrong.
        PlanError: a network in it cannot be read.
    """
    return PlanPolicy(
        groups_mode=groups,
        prune=prune,
        max_prune=max_prune,
        stale_after=timedelta(minutes=stale_minutes),
        trust=_trust_policies(trust) if trust else None,
    )


def memory() -> GroupMemory:
    """Return what this account's earlier commands have found out about deleted agents groups."""
    return GroupMemory(state_dir())


def nonces(client: KrakenClient) -> NonceMemory:
    """Return the secrets that this account's commands have made for hosts of a server."""
    return NonceMemory(state_dir(), client.url)


def peers(*, accept: bool = False) -> PeerMemory:
    """Return the memory of where agents connected from, of this account's commands.

    Args:
        accept: take the peers of now for right.
    """
    return PeerMemory(state_dir(), accept=accept)


def memories(client: KrakenClient, *, accept_peers: bool = False) -> Memories:
    """Return all that this account's commands remember of a server.

    Args:
        accept_peers: take the addresses that agents connect from now for right.
    """
    return Memories.kept_in(state_dir(), client.url, accept_peers=accept_peers)


def show(plan: Plan) -> None:
    """Print the plan for people: findings, then each change with its reason, then the numbers."""
    from rich.text import Text

    screen = output.console()
    for finding in plan.findings:
        screen.print(_finding(finding))
    for action in plan.actions:
        sign, style = _SIGNS.get(type(action), ("+", "green"))
        line = Text(f"  {sign} ", style=style) + Text(action.describe())
        screen.print(line.append(f"  # {action.reason}", style="dim") if action.reason else line)
        for group, reason in getattr(action, "reasons", ()):
            screen.print(Text(f"      {group}: {reason}", style="dim"))
    screen.print(Text(_numbers(plan), style="bold"))


def _finding(finding: Finding) -> Any:
    from rich.text import Text

    style = _SEVERITIES.get(finding.severity, "")
    line = Text(f"  ! {finding.subject}: {finding.message}", style=style)
    return line.append(f". {finding.hint}", style="dim") if finding.hint else line


def _numbers(plan: Plan) -> str:
    if not plan.changes:
        said = _without_changes(plan)
    else:
        parts = [f"{count} {kind.replace('_', ' ')}" for kind, count in plan.summary().items()]
        count = len(plan.actions)
        said = f"{count} change{'s' * (count != 1)}: {', '.join(parts)}."
    if plan.prune.candidates:
        said += (
            f" {plan.prune.candidates} of {plan.prune.total} agents"
            f" ({plan.prune.percent:.0f} %) are not in the inventory."
        )
    return f"{said} Refused: {plan.prune.refused}." if plan.prune.refused else said


def _without_changes(plan: Plan) -> str:
    count = sum(finding.severity != "info" for finding in plan.findings)
    if not count:
        return "No changes: the server is as the inventory wants it."
    return f"No changes, but {count} finding{'s' * (count > 1)} that somebody should look at."


def _trust_policies(path: Path) -> tuple[TrustPolicy, ...]:
    """Read `- inventory`, `- cidr: {networks, groups}` and `- rules: [{networks, systems, executors, groups}]`."""
    import yaml

    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"It cannot be read: {error.strerror}", where=str(path)) from error
    except yaml.YAMLError as error:
        raise UsageError(f"It is not valid YAML: {error}", where=str(path)) from error
    if not isinstance(entries, list):
        raise UsageError("It is not a list of trust policies", where=str(path), hint="Begin each with a dash")
    try:
        return tuple(_trust_policy(entry) for entry in entries)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"A trust policy is not understood: {error}",
            where=str(path),
            hint="Write inventory, cidr: {networks: [...]} or rules: [{networks: [...], groups: [...]}]",
        ) from error


def _trust_policy(entry: Any) -> TrustPolicy:
    if entry == "inventory":
        return InventoryTrust()
    ((name, body),) = entry.items()
    if name == "cidr":
        return CidrTrust(tuple(texts_of(body["networks"])), frozenset(texts_of(body.get("groups"))))
    if name == "rules":
        return RulesTrust(tuple(TrustRule.of(rule) for rule in body))
    raise ValueError(f"There is no policy {name!r}")
